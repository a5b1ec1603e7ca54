"""Every setting of the project, each read once from the environment (.env.example lists them)."""

from pathlib import Path
from urllib.parse import quote, urlsplit

from enrichlabs import environment as env
from enrichlabs.stores import database, valkey_socket

VERSION = "0.1.0"
BASE_DIR = Path(__file__).resolve().parent.parent
DATA = Path(env.text("ENRICHLABS_DATA", str(BASE_DIR / "var"))).resolve()
SECRETS = DATA / "secrets"

# Where we are
PORT = env.integer("PORT", 8000)
MOCK_PORT = env.integer("MOCK_PORT", PORT + 1)
PUBLIC_URL = env.address("PUBLIC_URL", f"http://127.0.0.1:{PORT}")
VENDORS_FILE = env.text("ENRICHLABS_VENDORS")
# Which doors this process opens: api, admin, webhooks, mock. The pretend vendors stay shut unless they are named.
SERVES = env.words("SERVES", "api,admin,webhooks")

# Secrets
SECRET_KEY = env.secret("SECRET_KEY", SECRETS)
# Callback tokens are signed with the first and accepted from each, so that a secret can be replaced without losing callbacks.
CALLBACK_SECRETS = env.words("CALLBACK_SECRETS") or [env.kept_secret(SECRETS / "callback_secret")]

# Stores
DATABASE_URL = env.text("DATABASE_URL")
DATABASES = {"default": database(DATABASE_URL, DATA)}
ON_MONGODB = DATABASES["default"]["ENGINE"] == "enrichlabs.mongodb"
VALKEY_SOCKET = valkey_socket(DATA)
REDIS_URL = env.text("REDIS_URL", f"unix://{quote(str(VALKEY_SOCKET))}")

# Bounds of what comes in
JOB_MAX_BYTES = 64 * 1024
CALLBACK_MAX_BYTES = 1024 * 1024
CONSOLE_MAX_BYTES = 1024 * 1024
VENDOR_REPLY_MAX_BYTES = 1024 * 1024

# Django
DEBUG = env.switch("DEBUG")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", f"localhost,127.0.0.1,[::1],{urlsplit(PUBLIC_URL).hostname}")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
CSRF_FAILURE_VIEW = "jobs.problems.csrf_failure"
ROOT_URLCONF = "enrichlabs.urls"
WSGI_APPLICATION = "enrichlabs.wsgi.application"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CONTRIB_APPS = [f"django.contrib.{app}" for app in ("admin", "auth", "contenttypes")]
if ON_MONGODB:
    CONTRIB_APPS = [f"enrichlabs.mongodb.apps.{name}Config" for name in ("Admin", "Auth", "ContentTypes")]
    MIGRATION_MODULES = {app: f"enrichlabs.mongodb.{app}_migrations" for app in ("admin", "auth", "contenttypes")}
INSTALLED_APPS = [
    *CONTRIB_APPS,
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "vendors",
    "jobs",
    "webhooks",
    "enrichlabs",  # system checks
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "enrichlabs.admin_only.AdminSessions",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "enrichlabs.admin_only.AdminUsers",
    "enrichlabs.admin_only.AdminMessages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
# A session table would be one more thing to read and prune; on MongoDB its key could not even use its unique index.
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
# TLS ends at the proxy, which alone knows whether a request came by it: it redirects, and makes browsers insist on TLS
# (docs/decisions/0010-tls-at-the-proxy.md).
SILENCED_SYSTEM_CHECKS = [
    "security.W004",  # HSTS
    "security.W008",  # redirects
    "security.W009",  # SECRET_KEY: enrichlabs.W031 and W032, together with all other secrets
    "security.W011",  # cookies by TLS only: enrichlabs.W035 has the cause, an address without https
    "security.W016",
]

STATIC_URL = "/static/"
# Files are served from the packages that they came in: no collectstatic step.
WHITENOISE_USE_FINDERS = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "jobs.problems.handle",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "EnrichLabs",
    "DESCRIPTION": "A gateway for third-party vendor calls: post a job, have an id at once, fetch the result later.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

LOG_FORMAT = env.text("LOG_FORMAT", "text")
LOGGING_CONFIG = "enrichlabs.logs.configure"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"text": {"()": "enrichlabs.logs.TextFormatter"}, "json": {"()": "enrichlabs.logs.JSONFormatter"}},
    "filters": {"shortened": {"()": "enrichlabs.logs.Shortened"}, "capped": {"()": "enrichlabs.logs.Capped"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["shortened", "capped"]},
    },
    "root": {"handlers": ["console"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {
        "django": {"handlers": [], "propagate": True, "level": "INFO"},
        # At DEBUG, drivers and Django's ORM log what they send: names, inputs, hashes of passwords.
        **{name: {"level": "INFO"} for name in ("pymongo", "redis", "django.db.backends", "requests", "asyncio")},
        # Its warnings quote reply headers and the vendor's whole URL.
        "urllib3": {"level": "ERROR"},
    },
}
