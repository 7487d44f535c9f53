"""Every sentence of our admin has its Japanese, and what is compiled is what is written."""

from __future__ import annotations

import ast
import gettext
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CATALOGUES = sorted((ROOT / "hie" / "locale").rglob("*.po"))
MARKS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy", "pgettext"}
_TRANSLATE = re.compile(r"\{%\s*translate\s+\"((?:[^\"\\]|\\.)*)\"")
_BLOCK = re.compile(r"\{%\s*blocktranslate\b[^%]*%\}(.*?)\{%\s*(?:plural|endblocktranslate)", re.DOTALL)
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def written(path: Path) -> dict[str, str]:
    """msgid -> its first msgstr of a catalogue."""
    found: dict[str, str] = {}
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            match = re.match(r'(msgid_plural|msgid|msgstr(?:\[0\])?) (".*")$', line)
            if match:
                name = match[1]
            if name and line.endswith('"') and not line.startswith("#"):
                fields[name] = fields.get(name, "") + ast.literal_eval(line[line.index('"') :])
        if fields.get("msgid"):
            found[fields["msgid"]] = fields.get("msgstr", fields.get("msgstr[0]", ""))
    return found


def sentences(path: Path) -> set[str]:
    """What a source file or template gives to be translated."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        blocks = {_VARIABLE.sub(r"%(\1)s", " ".join(block.split())) for block in _BLOCK.findall(text)}
        return set(_TRANSLATE.findall(text)) | blocks
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in MARKS
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def sources() -> list[Path]:
    return [
        *(ROOT / "apps").rglob("*.py"),
        *(ROOT / "hie").rglob("*.py"),
        *(ROOT / "apps").rglob("templates/**/*.html"),
        *(ROOT / "hie" / "templates").rglob("*.html"),
    ]


def test_every_sentence_has_its_japanese() -> None:
    known = written(ROOT / "hie" / "locale" / "ja" / "LC_MESSAGES" / "django.po")
    missing = {
        (sentence, str(path.relative_to(ROOT)))
        for path in sources()
        for sentence in sentences(path)
        if not known.get(sentence)
    }
    assert not missing


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_compiled_is_what_is_written(path: Path) -> None:
    with path.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for sentence, japanese in written(path).items():
        found = compiled.gettext(sentence)
        assert found == japanese or compiled.ngettext(sentence, sentence, 1) == japanese, f"stale: {sentence}"


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: str(path.relative_to(ROOT)))
def test_placeholders_survive_translation(path: Path) -> None:
    for sentence, japanese in written(path).items():
        wanted = set(re.findall(r"%\(\w+\)[sd]|\{\w*\}", sentence))
        assert wanted == set(re.findall(r"%\(\w+\)[sd]|\{\w*\}", japanese)), sentence
