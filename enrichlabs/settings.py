"""All settings, each read once from the environment (.env.example lists the variables)."""

import os
from pathlib import Path
from urllib.parse import quote, urlsplit

from enrichlabs.config import addresses, kept_secrets
from enrichlabs.config import environment as env
from enrichlabs.config.stores import database, valkey_socket

# Files that our processes write, above all the store, are readable by their owner only.
os.umask(0o077)

VERSION = "0.2.0"
BASE_DIR = Path(__file__).resolve().parent.parent
DATA = (env.path("ENRICHLABS_DATA", BASE_DIR) or BASE_DIR / "var").resolve()
SECRETS = DATA / "secrets"

# Addresses. HOST is as in a URL: an IPv6 address has brackets.
PORT = env.integer("PORT", 8000, 1, 65535)
MOCK_PORT = env.integer("MOCK_PORT", PORT + 1, 1, 65535)
HOST = env.read("HOST", "127.0.0.1", addresses.bind_host)
PUBLIC_URL = env.read(
    "PUBLIC_URL", f"http://{addresses.reached_at(HOST)}:{PORT}", addresses.public_url
)
VENDORS_FILE = str(env.path("ENRICHLABS_VENDORS", BASE_DIR) or "")
MOCK_VENDORS = env.switch("MOCK_VENDORS")
# Vendors may only use variables with these prefixes, and none that settings read.
VENDOR_VARIABLE_PREFIXES = env.vendor_variable_prefixes()
SETTINGS_VARIABLES = env.SETTINGS_VARIABLES
# Vendors may have these addresses although they are link-local, a metadata service, or this
# machine.
VENDOR_ALLOWED_ADDRESSES = env.networks("VENDOR_ALLOWED_ADDRESSES")
# Adapters are loaded from this folder and from the package, and from nowhere else.
ADAPTERS_DIR = (env.path("ADAPTERS_DIR", BASE_DIR) or DATA / "adapters").resolve()
# Whether requests without an API key are accepted, as long as no key exists.
ALLOW_ANONYMOUS = env.anonymous_access("ALLOW_ANONYMOUS", PUBLIC_URL)
# Proxies whose X-Forwarded-For tells the address of a client.
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")
# The groups of routes that this process serves (enrichlabs/urls.py).
SERVES = env.words("SERVES", "api,admin,webhooks", ("api", "admin", "webhooks", "metrics", "mock"))
API_DOCS = env.switch("API_DOCS", default=True)  # whether /docs and /schema are served with the API
WORKER_PROCESSES = env.integer("WORKER_PROCESSES", 1, 1)
WORKER_THREADS = env.integer("WORKER_THREADS", 32, 1)

# Certificate authorities trusted for vendors, in addition to the public ones.
VENDOR_CA_FILE = env.certificates("VENDOR_CA_FILE", BASE_DIR)

# Secrets
SECRET_KEY = kept_secrets.secret_key(SECRETS)
# The first signs callback tokens; all are accepted, so that a secret can be rotated without losing
# callbacks.
CALLBACK_SECRETS = kept_secrets.callback_secrets(SECRETS)

# Stores
DATABASE_URL = env.text("DATABASE_URL").strip()
DATABASES = {"default": env.attempt(lambda: database(DATABASE_URL, DATA), database("", DATA))}
ON_MONGODB = DATABASES["default"]["ENGINE"] == "enrichlabs.mongodb"
EMBEDS_VALKEY = not env.text("REDIS_URL").strip()
VALKEY_SOCKET = env.attempt(lambda: valkey_socket(DATA, EMBEDS_VALKEY), DATA / "valkey.sock")
REDIS_URL = env.read("REDIS_URL", f"unix://{quote(str(VALKEY_SOCKET))}", addresses.redis_url)

# Size limits
JOB_MAX_BYTES = 64 * 1024
BATCH_MAX_BYTES = 4 * 1024 * 1024  # of a batch in JSON
BATCH_STREAM_MAX_BYTES = 50_000 * JOB_MAX_BYTES  # of a batch in NDJSON, which is never kept whole
CALLBACK_MAX_BYTES = 1024 * 1024
CONSOLE_MAX_BYTES = 1024 * 1024
VENDOR_REPLY_MAX_BYTES = 1024 * 1024

# Django
DEBUG = env.switch("DEBUG")
DEFAULT_EXCEPTION_REPORTER = "enrichlabs.web.debug_pages.Reporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "enrichlabs.web.debug_pages.Filter"
ALLOWED_HOSTS = env.read(
    "ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"], addresses.allowed_hosts
)
# Vendors, and users of the URL that script/server prints, must always be allowed.
ALLOWED_HOSTS = list(
    dict.fromkeys([*ALLOWED_HOSTS, addresses.host_of(PUBLIC_URL), addresses.reached_at(HOST)])
)
CSRF_TRUSTED_ORIGINS = ["://".join(urlsplit(PUBLIC_URL)[:2])]
CSRF_FAILURE_VIEW = "jobs.api.problems.csrf_failure"
ROOT_URLCONF = "enrichlabs.urls"
WSGI_APPLICATION = "enrichlabs.wsgi.application"
APPEND_SLASH = False
LOGIN_REDIRECT_URL = "/admin/"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CONTRIB_APPS = [
    "enrichlabs.console.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
]
if ON_MONGODB:
    CONTRIB_APPS = [
        f"enrichlabs.mongodb.apps.{name}Config" for name in ("Admin", "Auth", "ContentTypes")
    ]
    MIGRATION_MODULES = {
        app: f"enrichlabs.mongodb.{app}_migrations" for app in ("admin", "auth", "contenttypes")
    }
INSTALLED_APPS = [
    *CONTRIB_APPS,
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "vendors",
    "audit",
    "clients",
    "users",
    "jobs",
    "webhooks",
    "enrichlabs",  # system checks
]
MIDDLEWARE = [
    "enrichlabs.web.security_policy.SecurityPolicy",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "enrichlabs.web.console_middleware.ConsolePages",
    "enrichlabs.web.console_middleware.ConsoleSessions",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "enrichlabs.web.console_middleware.ConsoleUsers",
    "enrichlabs.web.console_middleware.ConsoleMessages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Before those of Django's admin, whose frame the console replaces.
        "DIRS": [BASE_DIR / "jobs" / "templates"],
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
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {}),
        ("MinimumLengthValidator", {"min_length": 12}),
        ("CommonPasswordValidator", {}),
    )
]
AUTHENTICATION_BACKENDS = ["users.backends.ConsoleBackend"]
PASSWORD_HASHERS = ["users.hashing.PBKDF2PasswordHasher"]
# Signed cookies with a row each, which ends with them (docs/decisions/0020-user-model.md).
SESSION_ENGINE = "users.sessions"
SESSION_COOKIE_AGE = 12 * 3600  # from the login on
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
# TLS ends at the proxy. Only the proxy knows whether a request used TLS, so it redirects and sends
# HSTS (docs/decisions/0010-tls-at-the-proxy.md).
SILENCED_SYSTEM_CHECKS = [
    "security.W004",  # HSTS
    "security.W008",  # redirects
    "security.W009",  # SECRET_KEY: enrichlabs.W031 and W032 check all secrets
    "security.W011",  # secure cookies: enrichlabs.W035 names the cause, a PUBLIC_URL without https
    "security.W016",
]

STATIC_URL = "/static/"
# Serves static files from their packages, without collectstatic.
WHITENOISE_USE_FINDERS = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["jobs.api.access.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [
        "jobs.api.access.permissions.FromSameSite",
        "jobs.api.access.permissions.HasScope",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["jobs.api.access.throttles.RequestLimits"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "jobs.api.formats.JSONOnly",
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS describes nothing
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "jobs.api.problems.handle",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "EnrichLabs",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "jobs.api.openapi.details.complete",
    ],
}

LOG_FORMAT = env.choice("LOG_FORMAT", "text", ("text", "json"))
LOGGING_CONFIG = "enrichlabs.logs.configure"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "enrichlabs.logs.TextFormatter"},
        "json": {"()": "enrichlabs.logs.JSONFormatter"},
    },
    "filters": {
        "short_refusals": {"()": "enrichlabs.logs.ShortRefusals"},
        "rate_limited": {"()": "enrichlabs.logs.RateLimited"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": LOG_FORMAT,
            "filters": ["short_refusals", "rate_limited"],
        },
    },
    "root": {
        "handlers": ["console"],
        "level": env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")),
    },
    "loggers": {
        "django": {"handlers": [], "propagate": True, "level": "INFO"},
        # At DEBUG, drivers and Django's ORM log what they send: names, inputs, password hashes.
        **{
            name: {"level": "INFO"}
            for name in ("pymongo", "redis", "django.db.backends", "requests", "asyncio")
        },
        # Its warnings quote response headers and the vendor's full URL.
        "urllib3": {"level": "ERROR"},
    },
}

env.check()
