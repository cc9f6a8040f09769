#include <iterator>

#include "kernel/runtime/settings/setting_rows.h"

namespace opensend::runtime {

namespace {

using enum SettingType;

// clang-format off
constexpr Setting kMailSettings[] = {
    {"smtp.bind", "", kList, "127.0.0.1 // 0.0.0.0, ::", "ip", 0, "Addresses of the submission listeners."},
    {"smtp.port", "SMTP_PORT", kInt, "2587", "0..65535", 0, "Submission with STARTTLS; 0 turns it off."},
    {"smtp.tls_port", "SMTPS_PORT", kInt, "2465", "0..65535", 0, "Submission with TLS from the first byte; 0 turns it off."},
    {"smtp.hostname", "", kText, "", "host", 0, "Name in the greeting and in Received lines; the host of app.url without it."},
    {"smtp.tls_cert", "", kText, "", "file", kReread, "PEM certificate chain of the submission listeners."},
    {"smtp.tls_key", "", kText, "", "file", kReread, "PEM private key of the submission listeners."},
    {"smtp.max_message_bytes", "", kSize, "41943040", "1MiB..100MiB", 0, "Largest submitted message."},
    {"smtp.max_recipients", "", kInt, "50", "1..50", 0, "Recipients of one submitted message."},
    {"smtp.bare_newline", "", kChoice, "reject", "reject|normalize", 0, "A line feed without carriage return: refuse or repair."},
    {"smtp.allow_insecure_auth", "", kChoice, "loopback", "loopback|never", 0, "Sign-in without TLS, from loopback in evaluation mode only."},
    {"smtp.proxy_protocol", "", kChoice, "off", "off|v1|v2", kLater, "Proxy header in front of submission."},
    {"webhooks.timeout", "", kSpan, "15s", "1s..30s", 0, "Whole time of one attempt."},
    {"webhooks.endpoint_concurrency", "", kInt, "4", "1..1000", kReread, "Attempts at once to one endpoint."},
    {"webhooks.org_concurrency", "", kInt, "32", "1..10000", kReread, "Attempts at once of one organization."},
    {"webhooks.workers", "", kInt, "256", "1..10000", kReread, "Attempts at once of the process."},
    {"webhooks.disable_after", "", kSpan, "5d", "1d..30d", kReread, "An endpoint that fails this long is switched off."},
    {"sns.events_topics", "SES_EVENTS_SNS_TOPIC_ARN", kList, "", "arn", kReread, "Topics that may post to /events/ses; none means all are refused."},
    {"sns.inbound_topics", "SES_INBOUND_SNS_TOPIC_ARN", kList, "", "arn", kReread, "Topics that may post to /events/inbound/ses-s3; none means all are refused."},
    {"sns.max_age", "", kSpan, "90m", "1m..7d", 0, "Oldest notification that is taken."},
    {"sns.max_future", "", kSpan, "15m", "0s..1d", 0, "How far ahead a notification's clock may be."},
    {"sns.trust_anchors", "", kText, "", "file", 0, "PEM roots for signing certificates instead of the system's."},
    {"inbound.max_message_bytes", "", kSize, "26214400", "1KiB..40MiB", 0, "Largest received message."},
    {"inbound.s3_bucket", "SES_INBOUND_BUCKET_NAME", kList, "", "", 0, "Buckets that received mail may be read from."},
    {"inbound.mx_host", "", kText, "", "host", 0, "Mail exchanger shown for receiving domains."},
    {"inbound.handlers", "", kList, "ses, mime_inbound", "name", 0, "Kinds or plugins that take provider events."},
    {"blob.backend", "", kChoice, "fs", "fs|s3", 0, "Where large objects are kept; s3 is for a later release."},
    {"blob.s3.bucket", "S3_BUCKET_NAME", kText, "", "", kLater, "Bucket of large objects."},
    {"blob.s3.region", "", kText, "", "", kLater, "Region of that bucket."},
    {"blob.s3.endpoint", "", kText, "", "http_url", kLater, "Other service with the same interface."},
    {"blob.s3.prefix", "", kText, "", "", kLater, "First part of object names."},
    {"blob.url_ttl", "", kSpan, "1h", "1m..7d", 0, "Life of a download address."},
    {"aws.access_key_id", "AWS_ACCESS_KEY_ID", kText, "", "", kSecret, "Access key for SES and S3."},
    {"aws.secret_access_key", "AWS_SECRET_ACCESS_KEY", kText, "", "", kSecret, "Secret of that access key."},
    {"aws.session_token", "AWS_SESSION_TOKEN", kText, "", "", kSecret, "Session token of temporary credentials."},
    {"transport.default_url", "OPENSEND_TRANSPORT_URL", kText, "", "transport_url", kUrlSecret, "Defines one transport called default."},
    {"transport.names", "", kList, "", "name", kReread, "Transports that exist."},
    {"transport.<n>.url", "", kText, "", "transport_url", kUrlSecret | kReread, "Kind, host and parameters of a transport."},
    {"transport.<n>.plugin", "", kText, "", "name", kReread, "Plugin of a transport that has no URL."},
    {"transport.<n>.config.*", "", kText, "", "", kReread, "The transport's own configuration, joined with the parts of its URL."},
    {"transport.<n>.scope", "", kChoice, "shared", "shared|tenant", 0, "One instance for all organizations, or one for each."},
    {"transport.<n>.split", "", kChoice, "recipient", "recipient|message", 0, "One transaction for each recipient, or one for the message."},
    {"transport.<n>.envelope_from", "", kText, "", "", 0, "Envelope sender of this transport."},
    {"transport.<n>.spf", "", kText, "", "", 0, "SPF term that lets this transport send."},
    {"transport.<n>.self_sign", "", kBool, "false", "", 0, "The provider signs with DKIM itself."},
    {"transport.<n>.rate", "", kText, "", "rate", kReread, "Recipients in a time, such as 14/s; those above wait with reason rate_wait."},
    {"transport.<n>.concurrency", "", kInt, "", "1..10000", kReread, "Batches at once."},
    {"transport.<n>.answers.*", "", kText, "", "answer", kReread, "What an answer of this transport means: <class> code=421 enhanced=4.7.* stage=rcpt text=slow down; alternatives of the text stand between bars. Rules are asked in the order of their names, these before send.answers.*, both before the built-in table."},
    {"group.<n>.members", "", kList, "", "member", kReread, "name:weight:priority of each transport in the group."},
    {"group.<n>.domains", "", kList, "", "host", kReread, "Sender domains that use this group."},
    {"group.<n>.streams", "", kList, "", "stream", kReread, "Streams that use this group: transactional, bulk."},
    {"group.<n>.orgs", "", kList, "", "", kReread, "Organizations that use this group."},
    {"send.max_age", "", kSpan, "48h", "1h..7d", kReread, "How long a message is tried."},
    {"send.lease", "", kSpan, "120s", "30s..600s", 0, "How long a worker owns what it claimed."},
    {"send.unknown_policy", "", kChoice, "retry", "retry|hold|assume_sent", kReread, "What follows an attempt whose outcome is not known."},
    {"send.unknown_wait", "", kSpan, "10m", "1m..24h", kReread, "How long a late answer is waited for."},
    {"send.answers.*", "", kText, "", "answer", kReread, "What an answer of any transport means; kind=smtp limits a rule to one kind. Classes: throttle, temp, perm_recipient, perm_content, perm_reputation, auth_config, protocol."},
    {"send.max_attachment_b64_bytes", "", kSize, "41943040", "1KiB..100MiB", 0, "Attachments of one message, encoded."},
    {"tracking.base_url", "TRACKING_BASE_URL", kText, "", "app_url", 0, "Address of tracking links; app.url without it."},
    {"tracking.cname_target", "TRACKING_CNAME_TARGET", kText, "", "host", 0, "Target that tracking domains point to; the host of tracking.base_url without it."},
    {"domains.regions", "", kList, "", "", 0, "Region labels that domains may carry beside the well-known ones."},
    {"domains.takeover_cooloff", "", kSpan, "72h", "24h..30d", 0, "Wait before a verified domain changes its owner."},
    {"deliverability.blocklists", "", kList, "", "host", kLater, "Blocklists that reports ask."},
    {"retention.bodies", "", kSpan, "30d", "1d..3650d", kReread, "Message bodies and attachments."},
    {"retention.messages", "", kSpan, "180d", "7d..3650d", kReread, "Messages and their recipients."},
    {"retention.attempts", "", kSpan, "30d", "3d..3650d", kReread, "Attempts and their transcripts."},
    {"retention.events", "", kSpan, "30d", "7d..3650d", kReread, "Event log."},
    {"retention.webhook_deliveries", "", kSpan, "30d", "4d..3650d", kReread, "Web hook deliveries."},
    {"retention.inbound", "", kSpan, "90d", "1d..3650d", kReread, "Received messages."},
    {"retention.provider_ledger", "", kSpan, "30d", "7d..3650d", kReread, "Ids of provider events that were seen."},
    {"retention.api_logs", "", kSpan, "30d", "0s..3650d", kReread, "API request log."},
    {"retention.idempotency", "", kSpan, "24h", "24h..3650d", kReread, "Answers kept for repeated requests."},
    {"retention.audit", "", kSpan, "730d", "90d..36500d", kReread, "Audit log."},
    {"retention.exports", "", kSpan, "7d", "1d..3650d", kReread, "Export files."},
    {"retention.sessions", "", kSpan, "30d", "0s..3650d", kReread, "Ended sessions."},
    {"retention.suppressions", "", kSpan, "", "1d..36500d", kReread, "Suppressed addresses; without a value for ever."},
};
// clang-format on

}  // namespace

std::vector<Setting> MailSettings() { return {std::begin(kMailSettings), std::end(kMailSettings)}; }

}  // namespace opensend::runtime
