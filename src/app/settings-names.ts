/**
 * Every name that a Celery setting has had: today's, ours in camelCase, the old upper-case ones.
 *
 * @module
 */

/** What Celery 5.6 has besides the settings that we honour (celery.md, settings): each is answered with one warning. */
const UNIMPLEMENTED: ReadonlySet<string> = new Set((
  "beat_cron_starting_deadline beat_executable beat_gid beat_logfile beat_max_loop_interval " +
  "beat_pidfile beat_schedule beat_schedule_filename beat_scheduler beat_sync_every beat_uid beat_umask " +
  "broker_heartbeat_checkrate broker_host " +
  "broker_login_method broker_password " +
  "broker_pool_acquire_timeout broker_pool_limit broker_port broker_read_url broker_transport " +
  "broker_use_ssl broker_user broker_vhost broker_write_url cache_backend cache_backend_options " +
  "control_exchange control_queue_durable " +
  "control_queue_exclusive control_queue_expires control_queue_ttl " +
  "event_exchange event_queue_durable " +
  "event_queue_exclusive event_queue_expires event_queue_prefix event_queue_ttl event_serializer " +
  "events_executable events_gid events_logfile events_pidfile events_uid events_umask " +
  "override_backends " +
  "redis_backend_credential_provider redis_backend_health_check_interval redis_backend_use_ssl " +
  "redis_client_name redis_db redis_host redis_max_connections redis_password redis_port " +
  "redis_retry_on_timeout redis_socket_connect_timeout redis_socket_keepalive redis_socket_timeout " +
  "redis_username " +
  "result_backend_thread_safe " +
  "result_cache_max result_chord_join_timeout result_chord_retry_interval result_compression " +
  "result_exchange result_exchange_type result_persistent " +
  "security_cert_store security_certificate " +
  "security_digest security_key security_key_password " +
  "task_allow_error_cb_on_chord_header task_always_eager task_annotations task_default_rate_limit " +
  "task_eager_propagates task_reject_on_worker_lost task_remote_tracebacks task_send_sent_event " +
  "task_store_eager_result worker_agent worker_autoscaler " +
  "worker_consumer " +
  "worker_disable_prefetch worker_disable_rate_limits worker_enable_prefetch_count_reduction " +
  "worker_enable_remote_control " +
  "worker_executable worker_gid worker_hijack_root_logger worker_log_color worker_log_format " +
  "worker_logfile worker_lost_wait worker_max_memory_per_child worker_max_tasks_per_child " +
  "worker_pidfile worker_pool worker_pool_putlocks worker_pool_restarts worker_proc_alive_timeout " +
  "worker_redirect_stdouts worker_redirect_stdouts_level worker_send_task_events " +
  "worker_state_db worker_task_log_format worker_timer " +
  "worker_timer_precision worker_uid worker_umask"
).split(" "));

/** And those of its result stores that we have not. */
const ELSEWHERE =
  /^(arangodb|azureblockblob|cassandra|cosmosdbsql|couchbase|database|elasticsearch|gcs|mongodb|s3)_/;

/** Old names that today's do not follow from by rule (celery/app/defaults.py). */
const RENAMED: ReadonlyMap<string, string> = new Map([
  ["CELERY_EAGER_PROPAGATES_EXCEPTIONS", "task_eager_propagates"],
  ["CELERY_MAX_CACHED_RESULTS", "result_cache_max"],
  ["CELERY_MESSAGE_COMPRESSION", "task_compression"],
  ["CELERY_RESULT_DBURI", "database_url"],
  ["CELERY_RESULT_DB_SHORT_LIVED_SESSIONS", "database_short_lived_sessions"],
  ["CELERY_RESULT_DB_TABLENAMES", "database_table_names"],
  ["CELERY_RESULT_ENGINE_OPTIONS", "database_engine_options"],
  ["CELERY_SEND_EVENTS", "worker_send_task_events"],
  ["CELERY_SEND_TASK_SENT_EVENT", "task_send_sent_event"],
  ["CELERY_TASK_RESULT_EXPIRES", "result_expires"],
]);

/** A setting's name in Celery's spelling (`task_default_queue`). */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** A setting's name in ours (`taskDefaultQueue`). */
export function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_all, letter: string) => letter.toUpperCase());
}

/** What a name means: a setting that we honour (in camelCase), one that only Celery has (in snake case), or nothing. */
export type FoundSetting =
  | { readonly is: "ours"; readonly name: string }
  | { readonly is: "celery's"; readonly name: string }
  | undefined;

/** Finds a setting by any of its names; `ours` are the names in camelCase that we honour. */
export function findSetting(name: string, ours: { has(name: string): boolean }): FoundSetting {
  for (const candidate of candidates(name)) {
    const camel = camelCase(candidate);
    if (ours.has(camel)) return { is: "ours", name: camel };
    if (UNIMPLEMENTED.has(candidate) || ELSEWHERE.test(candidate)) return { is: "celery's", name: candidate };
  }
  return undefined;
}

/** Names in snake case that `name` may stand for, likeliest first. Old names are wholly upper-case. */
function candidates(name: string): string[] {
  if (/[a-z]/.test(name)) return [snakeCase(name)];
  const renamed = RENAMED.get(name);
  if (renamed !== undefined) return [renamed];
  const lower = name.toLowerCase();
  const [, prefix, rest] = /^(celery|celeryd|celerybeat)_(.+)$/.exec(lower) ?? [];
  if (rest === undefined) return [lower];
  if (prefix === "celery") return [lower, rest, `task_${rest}`, `worker_${rest}`];
  return prefix === "celeryd" ? [`worker_${rest}`, rest] : [`beat_${rest}`];
}

/** All names that a program may write, for "did you mean". */
export function unimplementedNames(): Iterable<string> {
  return UNIMPLEMENTED;
}
