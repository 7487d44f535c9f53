"""Django's settings. What an operator may choose comes from the environment (``hie/environment.py``)."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from django.utils.translation import gettext_lazy as _

from hie import environment

BASE_DIR = environment.BASE_DIR
DATA_DIR = environment.data_directory()

SECRET_KEY = environment.text("HIE_SECRET_KEY") or environment.kept_once("secret_key", "secret")
DEBUG = environment.flag("HIE_DEBUG")
HOST_NAMES = [name.strip() for name in environment.text("HIE_HOST_NAMES").split(",") if name.strip()]
ALLOWED_HOSTS = HOST_NAMES

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "hie.transport",
    "apps.terminology",
    "apps.network",
    "apps.atna",
    "apps.ids",
    "apps.pix",
    "apps.consent",
    "apps.xds",
    "apps.ssmix",
    "apps.demonstration",
]

# The machine doors are mounted in front of this list (hie/wsgi.py); it serves people.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "hie.typed.NationalNumbersRefused",
]

ROOT_URLCONF = "hie.urls"
WSGI_APPLICATION = "hie.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "hie" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def _database() -> dict[str, Any]:
    """SQLite in the data directory, or PostgreSQL by URL. Reasons and figures: docs/decisions/0010."""
    url = environment.text("HIE_DATABASE_URL")
    if not url:
        return {
            "ENGINE": "hie.sqlite",
            "NAME": DATA_DIR / "hie.sqlite3",
            "TEST": {"NAME": ":memory:"},  # as for Django's own backend
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": (
                    "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;"
                    "PRAGMA cache_size=-16000;PRAGMA mmap_size=268435456;PRAGMA wal_autocheckpoint=8000;"
                ),
            },
        }
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise SystemExit("HIE_DATABASE_URL has to begin with postgresql://, or be empty for SQLite.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"server_side_binding": True, "prepare_threshold": None},
    }


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

BROKER_URL = environment.text("HIE_BROKER_URL")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": BROKER_URL}
    if BROKER_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# Background work: name -> (task by dotted path, seconds between two runs). The embedded worker and Celery's beat
# both read this table.
SCHEDULE: dict[str, tuple[str, int]] = {
    "deliver messages": ("apps.xds.tasks.deliver_due", 2),
    "sweep assembled documents": ("apps.xds.tasks.sweep_assembled", 3600),
    "check documents": ("apps.xds.tasks.check_documents_when_due", 60),
    "forget ended subscriptions": ("apps.xds.tasks.forget_ended_subscriptions", 86400),
    "scan storages": ("apps.ssmix.tasks.scan_due_storages", 5),
    "send notifications": ("apps.pix.tasks.send_notifications", 5),
    "try and adopt matching rules": ("apps.pix.tasks.carry_out_rules_runs", 5),
    "look at insurances": ("apps.pix.tasks.look_for_coverage_conflicts", 86400),
    "forget old feeds": ("apps.pix.tasks.forget_old_messages", 86400),
}
CELERY_BROKER_URL = BROKER_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

# The parts of the pipeline that belong to apps, by dotted path (hie/exchange/pipeline.py).
EXCHANGE = {
    "authenticate": "apps.network.authentication.authenticate",
    "entitle": "apps.consent.gate.entitle",
    "gate": "apps.consent.gate.decide",
    "recorder": "apps.atna.recorder.record",
    "activity": "apps.atna.services.record_activity",
    "later": "apps.xds.outbox.later",
    "reachable": "apps.xds.outbox.reachable",
}

# Where the bytes of a document lie, by the scheme of its locator (apps/xds/repository.py).
CONTENT_STORES = {
    "blob": "apps.xds.stores.source",
    "sealed": "apps.xds.stores.source",
    "object": "apps.xds.stores.source",
    "sealedobject": "apps.xds.stores.source",
    "ssmix": "apps.ssmix.repository.open_file",
}
# The repositoryUniqueIds for which a store answers though nothing is submitted to it (apps/xds/repository.py).
SERVED_REPOSITORIES = "apps.ssmix.queries.repositories_served"

OID_ROOT = environment.text("HIE_OID_ROOT") or environment.kept_once("oid_root", "oid")
# The node whose feed brings the regional ids, "" where we issue them (docs/decisions/0046).
_IDENTITY_DOMAIN, IDENTITY_SOURCE = environment.identity_source()
AFFINITY_DOMAIN_OID = _IDENTITY_DOMAIN or f"{OID_ROOT}.1"
REPOSITORY_OID = f"{OID_ROOT}.6.1"
HOME_COMMUNITY_OID = environment.text("HIE_HOME_COMMUNITY") or f"{OID_ROOT}.7"
NETWORK_NAME = environment.text("HIE_NETWORK_NAME")
CONSENT_DEFAULT = environment.text("HIE_CONSENT_DEFAULT")
if CONSENT_DEFAULT not in ("opt-in", "opt-out"):
    raise SystemExit("HIE_CONSENT_DEFAULT has to be opt-in or opt-out.")

SOAP_URL = f"https://{HOST_NAMES[0]}:{environment.number('HIE_HTTPS_PORT')}/soap"
DOCUMENT_STORE = environment.text("HIE_DOCUMENT_STORE") or str(DATA_DIR / "documents")
DOCUMENT_STORAGE = environment.text("HIE_DOCUMENT_STORAGE")
if DOCUMENT_STORAGE not in ("local", "s3"):
    raise SystemExit("HIE_DOCUMENT_STORAGE has to be local or s3.")
if DOCUMENT_STORAGE == "s3" and not environment.text("HIE_S3_BUCKET"):
    raise SystemExit("HIE_DOCUMENT_STORAGE=s3 needs HIE_S3_BUCKET, and HIE_S3_ENDPOINT unless it is AWS.")
DOCUMENT_KEY = environment.text("HIE_DOCUMENT_KEY")
DOCUMENT_KEYS = environment.text("HIE_DOCUMENT_KEYS") or str(DATA_DIR / "keys")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "documents": {
        "BACKEND": "apps.xds.stores.s3.S3Storage",
        "OPTIONS": {
            "endpoint": environment.text("HIE_S3_ENDPOINT"),
            "bucket": environment.text("HIE_S3_BUCKET"),
            "region": environment.text("HIE_S3_REGION"),
            "access_key": environment.text("HIE_S3_ACCESS_KEY"),
            "secret_key": environment.text("HIE_S3_SECRET_KEY"),
            "seconds": environment.number("HIE_S3_SECONDS"),
        },
    },
}
# Makes the documents of on-demand entries in our own repository (apps/xds/services/assembling.py).
SUMMARY = environment.flag("HIE_SUMMARY")
SUMMARY_SNAPSHOTS = environment.flag("HIE_SUMMARY_SNAPSHOTS")
ON_DEMAND = "apps.ssmix.services.summary.assemble"
DOCUMENT_SCANNER = environment.text("HIE_DOCUMENT_SCANNER")
MAX_MESSAGE_BYTES = environment.number("HIE_MAX_MESSAGE_MB") * 1024 * 1024
MAX_DOCUMENT_BYTES = environment.number("HIE_MAX_DOCUMENT_MB") * 1024 * 1024
MAX_RESULTS = environment.number("HIE_MAX_RESULTS")
CODE_SETS = environment.text("HIE_CODE_SETS")
if CODE_SETS not in ("lenient", "strict"):
    raise SystemExit("HIE_CODE_SETS has to be lenient or strict.")
CHECK_HOURS = environment.number("HIE_CHECK_HOURS")
SCAN_SECONDS = environment.number("HIE_SCAN_SECONDS")

TLS_CERTIFICATE = environment.text("HIE_TLS_CERTIFICATE")
TLS_KEY = environment.text("HIE_TLS_KEY")
TLS_CLIENT_CA = environment.text("HIE_TLS_CLIENT_CA")
MLLP_PLAIN = environment.flag("HIE_MLLP_PLAIN")

LANGUAGE_CODE = environment.text("HIE_LANGUAGE")
LANGUAGES = [("ja", _("Japanese")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "hie" / "locale", BASE_DIR / "hie" / "locale" / "theme"]
FORMAT_MODULE_PATH = ["hie.formats"]
TIME_ZONE = "Asia/Tokyo"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)  # whitenoise looks for it at every start
STATICFILES_DIRS = [BASE_DIR / "hie" / "static"]
WHITENOISE_USE_FINDERS = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 8 * 60 * 60
LOGIN_URL = "admin:login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# The admin's theme. The figures and the menu are made in hie/overview.py.
UNFOLD = {
    "SITE_TITLE": NETWORK_NAME,
    "SITE_HEADER": NETWORK_NAME,
    "SITE_SUBHEADER": _("Regional health information exchange"),
    "SITE_SYMBOL": "hub",
    "SITE_URL": None,
    "SHOW_LANGUAGES": True,
    "SHOW_BACK_BUTTON": True,
    "DASHBOARD_CALLBACK": "hie.overview.dashboard",
    "SIDEBAR": {"show_search": False, "navigation": "hie.overview.menu"},
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97.8% .012 215)",
            "100": "oklch(94.5% .03 215)",
            "200": "oklch(89% .055 217)",
            "300": "oklch(81% .085 219)",
            "400": "oklch(70% .105 221)",
            "500": "oklch(60% .108 224)",
            "600": "oklch(50.5% .1 226)",
            "700": "oklch(43% .086 228)",
            "800": "oklch(36.5% .07 229)",
            "900": "oklch(31% .056 230)",
            "950": "oklch(23% .042 231)",
        },
    },
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": environment.text("HIE_LOG_LEVEL")},
}
