"""All settings. What differs between machines comes from the environment; docs/deployment.md lists it."""

import os
from pathlib import Path

import structlog
from django.utils.translation import gettext_lazy as _

from webapp import environ

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("EDITLOOP_VAR", BASE_DIR / "var")).resolve()

SECRET_KEY = environ.secret_key(VAR)
DEBUG = environ.flag("EDITLOOP_DEBUG")
ALLOWED_HOSTS = environ.words("EDITLOOP_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = environ.words("EDITLOOP_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "webapp.core",
    "webapp.accounts",
    "webapp.jobs",
    "webapp.endpoints",
    "webapp.hooks",
    "annotation",
    "scoring",
    "training",
    "webapp.dashboard",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "webapp.core.middleware.content_security_policy",
    "webapp.core.middleware.plain_addresses",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "webapp.urls"
ASGI_APPLICATION = "webapp.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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

# Data ---------------------------------------------------------------------------------------------------------------

DATABASES = {"default": environ.database(os.environ.get("DATABASE_URL", ""), VAR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MEDIA_ROOT = VAR / "media"
JOBS_ROOT = VAR / "jobs"
MODELS_ROOT = VAR / "models"  # checkpoints of reward models

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "editloop",
        "OPTIONS": {"serializer": "webapp.core.cache.JSONSerializer"},  # Django's own would unpickle
    }
}

# Accounts -----------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "webapp.accounts.adapter.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "webapp.accounts.adapter.SocialAccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # an invitation link is the proof
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/5m/key"}
SESSION_COOKIE_AGE = 14 * 24 * 3600
MFA_SUPPORTED_TYPES = environ.words("EDITLOOP_MFA", "totp,recovery_codes")
_single_sign_on: list[dict[str, object]] = []
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": _single_sign_on}}
if oidc := os.environ.get("EDITLOOP_OIDC_URL"):
    _single_sign_on.append(
        {
            "provider_id": "sso",
            "name": os.environ.get("EDITLOOP_OIDC_NAME", "Single sign-on"),
            "client_id": os.environ["EDITLOOP_OIDC_CLIENT"],
            "secret": os.environ["EDITLOOP_OIDC_SECRET"],
            "settings": {"server_url": oidc},
        }
    )
EMAIL_BACKEND = os.environ.get("EDITLOOP_EMAIL_BACKEND", "django.core.mail.backends.console.EmailBackend")

# Security -----------------------------------------------------------------------------------------------------------

HTTPS = environ.flag("EDITLOOP_HTTPS")  # set it behind a proxy that ends TLS and sets X-Forwarded-Proto
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "webapp.core.views.csrf_failure"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024  # JSON and forms; files go to disk and have limits of their own
FILE_UPLOAD_TEMP_DIR = VAR / "uploads"
FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)

# Language, static files ---------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # serves straight from static/: nothing to collect on a developer's machine
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_MAX_AGE = 0 if DEBUG else 60

# Jobs ---------------------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ACKS_LATE = False  # a long task acknowledged late is delivered again, and run twice
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = True  # a busy worker must not hold a message that an idle one could take
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# One try: a web request that starts a job does not wait for a Redis that is away; the reaper sends the message later.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
    "max_retries": 1,
    "interval_start": 0,
}
CELERY_BEAT_SCHEDULE = {
    "reap": {"task": "webapp.jobs.tasks.reap", "schedule": 10.0},
    "drift": {"task": "scoring.tasks.check_drift", "schedule": 3600.0},  # finds something to do once a month
    "recipes": {"task": "training.recipes.tasks.look", "schedule": 10.0},
    "editor-benchmarks": {"task": "training.editor_benchmarks.tasks.look", "schedule": 5.0},
    "proofs": {"task": "training.proof.tasks.look", "schedule": 10.0},
    "webhooks": {"task": "webapp.hooks.tasks.look", "schedule": 5.0},
    "old-deliveries": {"task": "webapp.hooks.tasks.forget", "schedule": 3600.0},
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
GPU_PYTHON = os.environ.get("GPU_PYTHON", "")  # the interpreter of the GPU environment; empty: this one
JOB_STALE_SECONDS = 20  # a running job without a heartbeat for so long has lost its worker
JOB_MAX_CRASHES = 3  # after so many lost workers a job is not started again by itself
JOB_KILL_SECONDS = 30  # from the request to stop to the kill

DEMO = environ.flag("EDITLOOP_DEMO", True)  # make the demo project and its accounts at the start
DEMO_CASES = int(os.environ.get("EDITLOOP_DEMO_CASES", "0"))  # photographs' cases to edit at the start; 0: all
# Endpoints: services that are asked over HTTP. The key that their keys are kept under; empty: SECRET_KEY.
ENDPOINT_KEY = os.environ.get("EDITLOOP_ENDPOINT_KEY", "")
PRIVATE_ENDPOINTS = environ.flag("EDITLOOP_PRIVATE_ENDPOINTS")  # may they be in private networks, or on this machine
WEBHOOK_HOSTS = environ.words("EDITLOOP_WEBHOOK_HOSTS")  # host or host:port of private networks that webhooks may reach
METRICS_TOKEN = os.environ.get("EDITLOOP_METRICS_TOKEN", "")

# Interface for programs ---------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "scoring.api.described.Described",
    "DEFAULT_METADATA_CLASS": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Editloop",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": ["scoring.api.schema.with_errors"],
}

# Logging ------------------------------------------------------------------------------------------------------------

_shared: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper("iso"),
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _shared,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["console"], "level": os.environ.get("EDITLOOP_LOG_LEVEL", "INFO")},
    "loggers": {"django.server": {"propagate": True}, "uvicorn.access": {"level": "WARNING"}},
}
structlog.configure(
    processors=[*_shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
