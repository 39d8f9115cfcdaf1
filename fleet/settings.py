"""Django settings, and the only reader of environment variables."""

from __future__ import annotations

import socket
from email.utils import parseaddr
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy

from fleet import __version__

env = environ.Env()
ROOT = Path(__file__).resolve().parent.parent

# What every process needs. PROFILE "embedded" is `make run`: loopback targets are allowed there,
# because a newcomer's first Redis is on it; "production" denies them unless EGRESS_ALLOW lists them.
PROFILE: str = env.str("PROFILE", default="production")
SECRET_KEY: str = env.str("SECRET_KEY")
DEBUG: bool = env.bool("DEBUG", default=False)
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
BEHIND_TLS: bool = env.bool("BEHIND_TLS", default=False)

# The key ring that seals secrets, newest first (Fernet keys, comma separated).
FLEET_KEYS: list[str] = env.list("FLEET_KEYS", default=[])
# `file:` references must lie below this folder; empty refuses them all.
SECRET_FILES_ROOT: str = env.str("SECRET_FILES_ROOT", default="")
SECRET_ENV_PREFIX = "PAIRKEEPER_SECRET_"  # noqa: S105 (a prefix of names)

# Networks a target may be in although the egress rules deny them (CIDR, comma separated),
# and folders in which a unix:// target may be (empty: none in production).
EGRESS_ALLOW: list[str] = env.list("EGRESS_ALLOW", default=[])
EGRESS_UNIX_ROOTS: list[str] = env.list("EGRESS_UNIX_ROOTS", default=[])
# Networks of one's own whose addresses look public: an endpoint in them counts as private.
PRIVATE_NETWORKS: list[str] = env.list("PRIVATE_NETWORKS", default=[])
EGRESS_ALLOW_LOOPBACK: bool = env.bool("EGRESS_ALLOW_LOOPBACK", default=PROFILE == "embedded")

# Folders in which a directory of copies may be, seen from the workers; one with {tenant} in it is
# each tenant's own, the others only operators may name. Empty: none.
BACKUP_ROOTS: list[str] = env.list("BACKUP_ROOTS", default=[])
# Certificates (PEM) to trust, instead of the usual ones, where a bucket's endpoint is https://.
BUCKET_CA_FILE: str = env.str("BUCKET_CA_FILE", default="")

# Where pulled copies are kept; each worker that pulls writes there, web processes read there for
# downloads. Empty: only to buckets.
PULL_FOLDER: str = env.str("PULL_FOLDER", default="")
# How many pulls may be under way in a zone at once.
PULLS_PER_ZONE: int = env.int("PULLS_PER_ZONE", default=1)

# The worker's own probe zone and name.
ZONE: str = env.str("ZONE", default="local")
WORKER_NAME: str = env.str("WORKER_NAME", default=f"{socket.gethostname()}-{ZONE}")

# Pairs in one message. Each message costs its statements: 25 us a visit less than with 100; below 50
# Celery costs more, above 200 a worker that dies does. The same in every process.
SHARD_PAIRS: int = env.int("SHARD_PAIRS", default=200)
if not 10 <= SHARD_PAIRS <= 1000:
    raise ImproperlyConfigured(f"SHARD_PAIRS is {SHARD_PAIRS}: it may be 10 to 1000.")

WEB_POOL: bool = env.bool("WEB_POOL", default=False)  # the web process pools its connections
# A streaming replica that web processes read charts from; unset: from DATABASE_URL as all else.
REPLICA_URL: str = env.str("REPLICA_URL", default="")
DATABASES = {"default": env.db_url("DATABASE_URL")}
if WEB_POOL and REPLICA_URL:
    DATABASES["replica"] = environ.Env.db_url_config(REPLICA_URL)
    DATABASE_ROUTERS = ["fleet.history.replica.ChartsFromReplica"]
for _database in DATABASES.values():
    _database["CONN_MAX_AGE"] = 0 if WEB_POOL else 600
    _database["CONN_HEALTH_CHECKS"] = not WEB_POOL
    if WEB_POOL:
        # Beside what the URL's query set (host=, sslmode=).
        _database.setdefault("OPTIONS", {})["pool"] = {
            "min_size": 1,
            "max_size": 8,  # a connection for each of the web process's threads
            "timeout": 10,
        }
BROKER_URL: str = env.str("BROKER_URL", default="redis://127.0.0.1:6379/0")

# Called after each good cycle, so that somebody outside notices when the portal falls silent.
DEADMAN_URL: str = env.str("DEADMAN_URL", default="")
# A folder on the database's disk, where that is this machine's: how full it is can be watched then.
DATA_FOLDER: str = env.str("DATA_FOLDER", default="")

# The mail server; unset: mails wait, and a portal alarm says so.
MAIL = environ.Env.email_url_config(env.str("EMAIL_URL", default="") or "smtp://127.0.0.1")
HAS_MAIL = bool(env.str("EMAIL_URL", default=""))
EMAIL_BACKEND: str = MAIL["EMAIL_BACKEND"]
if MAIL["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend":
    EMAIL_BACKEND = "fleet.alerts.channels.smtp.AnsweringBackend"  # it keeps the server's answer
EMAIL_USE_TLS: bool = MAIL.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL: bool = MAIL.get("EMAIL_USE_SSL", False)
EMAIL_HOST: str = MAIL["EMAIL_HOST"]
EMAIL_PORT: int = MAIL["EMAIL_PORT"] or (587 if EMAIL_USE_TLS else 465 if EMAIL_USE_SSL else 25)
EMAIL_HOST_USER: str = MAIL["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD: str = MAIL["EMAIL_HOST_PASSWORD"] or ""
EMAIL_TIMEOUT = 10  # seconds for the connection, and for each answer of the server
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM", default="Pairkeeper <pairkeeper@localhost>")
# What Message-IDs end with: the sender's own domain.
MAIL_DOMAIN: str = parseaddr(DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
# What links in mails begin with: how people reach the portal.
BASE_URL: str = env.str("BASE_URL", default="http://127.0.0.1:8000").rstrip("/")

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.simple_history",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "simple_history",
    "fleet.registry",
    "fleet.people",
    "fleet.findings",
    "fleet.history",
    "fleet.backups",
    "fleet.inspections",
    "fleet.alerts",
    "fleet.portal",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "fleet.people.middleware.PlainQueryMiddleware",
    "fleet.people.middleware.TimeZoneMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
]
ROOT_URLCONF = "fleet.urls"
WSGI_APPLICATION = "fleet.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

AUTH_USER_MODEL = "people.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [ROOT / "locale"]
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "/static/"
STATIC_ROOT = env.path("STATIC_ROOT", default=str(ROOT / "var" / "static"))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": env.str(
            "STATICFILES_STORAGE", default="whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = BEHIND_TLS
SESSION_COOKIE_AGE = 12 * 3600
CSRF_COOKIE_SECURE = BEHIND_TLS
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "fleet.portal.errors.too_old"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31536000 if BEHIND_TLS else 0)
SECURE_SSL_REDIRECT = BEHIND_TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
X_FRAME_OPTIONS = "DENY"
# Unfold's Alpine.js needs 'unsafe-eval' and inline styles; inline scripts are never allowed.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "manifest-src": ["'self'"],
    }
}

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    # A line for each tick and two for each task, and there is one every other second at the least.
    "loggers": {
        "celery.beat": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
    },
}

VERSION = __version__
# Unfold's own settings live with the pages: fleet/portal/unfold.py.
from fleet.portal.unfold import UNFOLD  # noqa: E402, F401
