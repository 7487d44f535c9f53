"""The rules a storage is held to: id, severity and one sentence in English and Japanese.

The ids up to TR-02 are those by which Japanese sites speak of SS-MIX2 quality (path, encoding, terminators, header,
identity, date, life cycle, segments, fields, values, codes, extended storage, transaction storage). The last group is
this server's own: what keeps a well-formed file from becoming known to the exchange.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """ERROR: not taken for current, quarantined. WARNING: taken and reported. INFO: reported."""

    ERROR = "E"
    WARNING = "W"
    INFO = "I"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its id, its usual severity, and what it says when it is broken."""

    id: str
    severity: Severity
    en: str
    ja: str


@dataclass(frozen=True, slots=True)
class Deviation:
    """One breach of one rule. place: the field or part, never its value. own_severity: where not the usual one."""

    rule: str
    place: str = ""
    own_severity: Severity | None = None

    @property
    def severity(self) -> Severity:
        return self.own_severity or RULES[self.rule].severity


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

RULES: dict[str, Rule] = {
    rule.id: rule
    for rule in (
        Rule("PATH-01", _W, "The name does not have seven parts.", "名前が7つの部分から成っていない。"),
        Rule("PATH-02", _E, "The name differs from the folders it lies in.", "名前がフォルダと一致しない。"),
        Rule(
            "PATH-03", _I, "The patient folders are not 3 + 3 + id.", "患者フォルダが3文字・3文字・患者IDの階層でない。"
        ),
        Rule("PATH-04", _W, "The data type is not one of the 26.", "データ種別が規定の26種にない。"),
        Rule("PATH-05", _W, "The care date does not fit the data type.", "診療日がデータ種別に合わない。"),
        Rule("PATH-06", _W, "The order number does not have 15 characters.", "オーダ番号が15文字でない。"),
        Rule(
            "PATH-07", _W, "The time of writing is not a real time of 17 digits.", "発生日時が17桁の正しい日時でない。"
        ),
        Rule("PATH-08", _I, "The department is not in the unified table 0069.", "診療科コードが統一表0069にない。"),
        Rule("PATH-09", _E, "The condition flag is not 0, 1 or 2.", "コンディションフラグが0・1・2でない。"),
        Rule("PATH-10", _I, "The file does not belong to the storage.", "ストレージに属さないファイルである。"),
        Rule("PATH-11", _W, "The name has an extension.", "名前に拡張子が付いている。"),
        Rule(
            "ENC-01",
            _W,
            "MSH-18 or MSH-20 does not agree with the bytes.",
            "MSH-18またはMSH-20が実際の文字コードと異なる。",
        ),
        Rule(
            "ENC-02",
            _W,
            "The bytes are in another character set than prescribed.",
            "規定以外の文字コードで書かれている。",
        ),
        Rule(
            "ENC-03",
            _W,
            "Bytes could not be read, or an escape sequence is missing.",
            "読めない文字、またはエスケープシーケンスの欠落がある。",
        ),
        Rule(
            "ENC-04",
            _W,
            "There are half-width kana, vendor or user-defined characters.",
            "半角カナ・機種依存文字・外字がある。",
        ),
        Rule("TERM-01", _W, "Segments do not end in CR.", "セグメントの終端がCRでない。"),
        Rule("TERM-02", _W, "The file carries MLLP framing bytes.", "MLLPの制御文字が含まれている。"),
        Rule(
            "TERM-03",
            _I,
            "The last segment does not end in exactly one terminator.",
            "最後のセグメントの終端が欠けているか重複している。",
        ),
        Rule("TERM-04", _W, "Segments stand on one line.", "セグメントの区切りがない。"),
        Rule("MSH-01", _E, "The file is empty or does not begin with MSH.", "ファイルが空か、MSHで始まらない。"),
        Rule("MSH-02", _W, "The trigger event does not belong to the data type.", "イベント型がデータ種別に合わない。"),
        Rule("MSH-03", _W, "The HL7 version is not 2.5.", "HL7のバージョンが2.5でない。"),
        Rule("ID-01", _E, "PID-3 names another patient than the folder.", "PID-3の患者がフォルダの患者と異なる。"),
        Rule(
            "ID-02",
            _I,
            "PID-3 equals the folder only after normalisation.",
            "PID-3は正規化後にのみフォルダと一致する。",
        ),
        Rule("ID-03", _W, "ORC-2 is not the order number of the name.", "ORC-2がファイル名のオーダ番号と異なる。"),
        Rule("ID-04", _E, "The file has more than one patient.", "1ファイルに複数の患者がある。"),
        Rule("DATE-01", _W, "The care date is not the date in the message.", "診療日がメッセージ中の日付と異なる。"),
        Rule("LIFE-01", _W, "One key has several current files.", "同じキーに有効なファイルが複数ある。"),
        Rule("LIFE-02", _W, "A superseded file has no current one.", "履歴ファイルに対応する有効なファイルがない。"),
        Rule("LIFE-03", _W, "A cancellation is marked as current.", "取消メッセージが有効とされている。"),
        Rule(
            "LIFE-04",
            _W,
            "An order has the number of files without an order.",
            "オーダのあるデータ種別でオーダ番号が999…である。",
        ),
        Rule("SEG-01", _W, "A required segment is missing.", "必須セグメントがない。"),
        Rule("SEG-02", _W, "Segments are not in the order of the structure.", "セグメントの順序が構造と異なる。"),
        Rule("SEG-03", _I, "There is an unknown segment.", "未知のセグメントがある。"),
        Rule("FLD-01", _W, "A required field is empty.", "必須フィールドが空である。"),
        Rule("FLD-02", _W, "A numeric field has no number.", "数値フィールドが数値でない。"),
        Rule("FLD-03", _W, "A date field has no date.", "日付フィールドが日付でない。"),
        Rule("FLD-04", _W, "A field is too long.", "フィールドが長すぎる。"),
        Rule("VAL-01", _W, "OBX-5 does not fit the type in OBX-2.", "OBX-5がOBX-2の型に合わない。"),
        Rule("VAL-02", _I, "A numeric OBX-5 has a comparator or blanks.", "数値のOBX-5に比較記号または空白がある。"),
        Rule("CODE-01", _I, "There is a local code only.", "ローカルコードのみである。"),
        Rule("CODE-02", _W, "A standard code does not have its form.", "標準コードの形式が正しくない。"),
        Rule("CODE-03", _I, "A unit cannot be brought to UCUM.", "単位を標準化できない。"),
        Rule("EXT-01", _W, "The name of a content folder cannot be read.", "コンテンツフォルダの名前を解釈できない。"),
        Rule("EXT-02", _W, "A content folder has no main document.", "コンテンツフォルダに主たる文書がない。"),
        Rule("EXT-03", _I, "A content folder is empty.", "コンテンツフォルダが空である。"),
        Rule(
            "TR-01",
            _W,
            "A record of the transaction storage cannot be read.",
            "トランザクションストレージのレコードを読めない。",
        ),
        Rule("TR-02", _W, "Transaction storage and tree disagree.", "トランザクションストレージとツリーが一致しない。"),
        Rule("OWN-01", _E, "The file is larger than is read.", "ファイルが読み込みの上限を超えている。"),
        Rule("OWN-02", _E, "The file could not be opened or read.", "ファイルを開けないか読めない。"),
        Rule("OWN-03", _E, "The message could not be read as HL7.", "HL7メッセージとして読めない。"),
        Rule(
            "OWN-04",
            _E,
            "The patient index refused the demographics.",
            "患者基本情報が患者索引に受け付けられなかった。",
        ),
        Rule("OWN-05", _E, "The registry refused the document.", "文書が登録されなかった。"),
        Rule(
            "OWN-06",
            _I,
            "The record of a patient was deleted (A23): settle it with the hospital.",
            "患者基本情報の削除(A23)があった。病院と確認すること。",
        ),
        Rule(
            "OWN-07",
            _I,
            "The patient is not yet known; the document waits for ADT-00.",
            "患者が未登録のため、ADT-00を待っている。",
        ),
        Rule(
            "OWN-08",
            _E,
            "There is a My Number or a resident record code in it, which medicine must not keep.",
            "マイナンバーまたは住民票コードが含まれている。医療では保存できない。",
        ),
    )
}


def is_fatal(deviations: tuple[Deviation, ...] | list[Deviation]) -> bool:
    """Whether one of the deviations keeps a file out of the exchange."""
    return any(deviation.severity is Severity.ERROR for deviation in deviations)
