-- The store of EnrichLabs 0.1.0 on SQLite: its own tables, and the migrations that it has recorded.
CREATE TABLE "django_migrations" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "app" varchar(255) NOT NULL, "name" varchar(255) NOT NULL, "applied" datetime NOT NULL);
CREATE TABLE "jobs_attempt" ("_id" varchar(36) NOT NULL PRIMARY KEY, "job" varchar(36) NOT NULL, "vendor" varchar(50) NOT NULL, "run" integer unsigned NOT NULL CHECK ("run" >= 0), "number" integer unsigned NOT NULL CHECK ("number" >= 0), "worker" varchar(100) NOT NULL, "started_at" datetime NOT NULL, "ended_at" datetime NOT NULL, "outcome" varchar(50) NOT NULL, "message" varchar(500) NOT NULL);
CREATE TABLE "jobs_delivery" ("_id" varchar(36) NOT NULL PRIMARY KEY, "key" varchar(64) NOT NULL UNIQUE, "vendor" varchar(50) NOT NULL, "job" varchar(36) NOT NULL, "run" integer unsigned NULL CHECK ("run" >= 0), "attempt" integer unsigned NULL CHECK ("attempt" >= 0), "body" text NULL, "body_bytes" integer unsigned NOT NULL CHECK ("body_bytes" >= 0), "verdict" varchar(10) NOT NULL, "received_at" datetime NOT NULL, "times_received" integer unsigned NOT NULL CHECK ("times_received" >= 0));
CREATE TABLE "jobs_job" ("_id" varchar(36) NOT NULL PRIMARY KEY, "vendor" varchar(50) NOT NULL, "name" varchar(200) NOT NULL, "input" text NOT NULL, "status" varchar(10) NOT NULL, "attempt" integer unsigned NOT NULL CHECK ("attempt" >= 0), "failures" integer unsigned NOT NULL CHECK ("failures" >= 0), "crashes" integer unsigned NOT NULL CHECK ("crashes" >= 0), "run" integer unsigned NOT NULL CHECK ("run" >= 0), "stream" varchar(5) NOT NULL, "queued_at" datetime NOT NULL, "not_before" datetime NULL, "deadline_at" datetime NULL, "worker" varchar(100) NOT NULL, "run_token" varchar(32) NOT NULL, "result" text NULL, "error_code" varchar(50) NOT NULL, "error_message" varchar(500) NOT NULL, "created_at" datetime NOT NULL, "started_at" datetime NULL, "finished_at" datetime NULL);
CREATE TABLE "vendors_vendor" ("_id" varchar(36) NOT NULL PRIMARY KEY, "slug" varchar(50) NOT NULL UNIQUE, "adapter" varchar(200) NOT NULL, "url" varchar(2000) NOT NULL, "enabled" bool NOT NULL, "rate_limits" varchar(200) NOT NULL, "max_in_flight" integer unsigned NULL CHECK ("max_in_flight" >= 0), "timeout_seconds" real NOT NULL, "max_attempts" integer unsigned NOT NULL CHECK ("max_attempts" >= 0), "callback_timeout_seconds" real NOT NULL, "repeat_unknown" bool NOT NULL, "repeat_overdue" bool NOT NULL, "redact" varchar(1000) NOT NULL, "api_key_env" varchar(100) NOT NULL, "webhook_secret_env" varchar(100) NOT NULL, "paused" bool NOT NULL, "paused_until" datetime NULL, "pause_reason" varchar(200) NOT NULL, "created_at" datetime NOT NULL, "max_queued" integer unsigned NULL CHECK ("max_queued" >= 0));
CREATE INDEX "attempt_of_job" ON "jobs_attempt" ("job", "number");
CREATE INDEX "attempt_started" ON "jobs_attempt" ("vendor", "started_at");
CREATE INDEX "delivery_key" ON "jobs_delivery" ("key");
CREATE INDEX "delivery_of_job" ON "jobs_delivery" ("job", "received_at");
CREATE INDEX "delivery_verdict" ON "jobs_delivery" ("verdict", "received_at");
CREATE INDEX "delivery_vendor_newest" ON "jobs_delivery" ("vendor", "_id");
CREATE INDEX "job_lost" ON "jobs_job" ("status", "vendor", "stream", "queued_at");
CREATE INDEX "job_due" ON "jobs_job" ("status", "not_before");
CREATE INDEX "job_overdue" ON "jobs_job" ("status", "deadline_at");
CREATE INDEX "job_status_newest" ON "jobs_job" ("status", "_id");
CREATE INDEX "job_vendor_newest" ON "jobs_job" ("vendor", "_id");
CREATE INDEX "job_vendor_status_newest" ON "jobs_job" ("vendor", "status", "_id");
CREATE INDEX "job_name" ON "jobs_job" ("name");
CREATE INDEX "vendor_slug" ON "vendors_vendor" ("slug");
INSERT INTO "django_migrations" ("app", "name", "applied") VALUES
    ('contenttypes', '0001_initial', '2026-11-22 13:20:00'),
    ('auth', '0001_initial', '2026-11-22 13:20:00'),
    ('admin', '0001_initial', '2026-11-22 13:20:00'),
    ('admin', '0002_logentry_remove_auto_add', '2026-11-22 13:20:00'),
    ('admin', '0003_logentry_add_action_flag_choices', '2026-11-22 13:20:00'),
    ('contenttypes', '0002_remove_content_type_name', '2026-11-22 13:20:00'),
    ('auth', '0002_alter_permission_name_max_length', '2026-11-22 13:20:00'),
    ('auth', '0003_alter_user_email_max_length', '2026-11-22 13:20:00'),
    ('auth', '0004_alter_user_username_opts', '2026-11-22 13:20:00'),
    ('auth', '0005_alter_user_last_login_null', '2026-11-22 13:20:00'),
    ('auth', '0006_require_contenttypes_0002', '2026-11-22 13:20:00'),
    ('auth', '0007_alter_validators_add_error_messages', '2026-11-22 13:20:00'),
    ('auth', '0008_alter_user_username_max_length', '2026-11-22 13:20:00'),
    ('auth', '0009_alter_user_last_name_max_length', '2026-11-22 13:20:00'),
    ('auth', '0010_alter_group_name_max_length', '2026-11-22 13:20:00'),
    ('auth', '0011_update_proxy_permissions', '2026-11-22 13:20:00'),
    ('auth', '0012_alter_user_first_name_max_length', '2026-11-22 13:20:00'),
    ('jobs', '0001_initial', '2026-11-22 13:20:00'),
    ('vendors', '0001_initial', '2026-11-22 13:20:00'),
    ('vendors', '0002_max_queued', '2026-11-22 13:20:00');
