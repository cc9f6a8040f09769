#include "kernel/resources/emails/accept.h"

#include <algorithm>
#include <set>

#include "kernel/base/text.h"
#include "kernel/events/event_log.h"
#include "kernel/events/payload.h"
#include "kernel/json/writer.h"
#include "kernel/mime/builder.h"
#include "kernel/resources/emails/email_json.h"
#include "kernel/resources/emails/email_store.h"
#include "kernel/resources/emails/simulator.h"
#include "kernel/runtime/crash_point.h"

namespace opensend::emails {
namespace {

using base::Error;
using base::ErrorCode;
using domains::SenderRule;

constexpr size_t kMaxEncodedBytes = 40 * 1024 * 1024;
/// Bodies beyond this lie in the blob store, so that commits stay small.
constexpr size_t kMaxInlineContent = 64 * 1024;

Error SenderRefused(const std::string& domain, std::string_view why, std::string reason) {
    return Error(
               ErrorCode::kSenderRefused,
               base::Cat("The domain ", domain, " cannot be used as a sender: ", why, '.')
    )
        .WithReason(std::move(reason));
}

struct Listed {
    const mime::Mailbox* mailbox;
    std::string_view kind;
};

std::vector<Listed> AllRecipients(const SendRequest& request) {
    std::vector<Listed> all;
    for (const auto& mailbox : request.to) all.push_back({&mailbox, "to"});
    for (const auto& mailbox : request.cc) all.push_back({&mailbox, "cc"});
    for (const auto& mailbox : request.bcc) all.push_back({&mailbox, "bcc"});
    return all;
}

/// One row per distinct address, first position wins (SEND-05).
std::vector<RecipientRow> MakeRecipients(const SendRequest& request, model::EmailStatus status) {
    std::vector<RecipientRow> rows;
    std::set<std::string> seen;
    for (const auto& [mailbox, kind] : AllRecipients(request)) {
        std::string key = mailbox->Key();
        if (!seen.insert(key).second) continue;
        RecipientRow row;
        row.ordinal = static_cast<int64_t>(rows.size());
        row.address = mailbox->Address();
        row.match_key = std::move(key);
        row.kind = kind;
        row.status = status;
        rows.push_back(std::move(row));
    }
    return rows;
}

void WriteMailboxes(
    json::Writer& out, std::string_view name, const std::vector<mime::Mailbox>& list
) {
    out.Key(name).BeginArray();
    for (const auto& mailbox : list) out.String(mailbox.text);
    out.EndArray();
}

std::string AddressesJson(const SendRequest& request) {
    json::Writer out;
    out.BeginObject();
    WriteMailboxes(out, "to", request.to);
    WriteMailboxes(out, "cc", request.cc);
    WriteMailboxes(out, "bcc", request.bcc);
    WriteMailboxes(out, "reply_to", request.reply_to);
    out.EndObject();
    return out.Take();
}

std::string TagsJson(const SendRequest& request) {
    json::Writer out;
    out.BeginArray();
    for (const auto& [name, value] : request.tags) {
        out.BeginObject().Field("name", name).Field("value", value).EndObject();
    }
    out.EndArray();
    return out.Take();
}

std::string HeadersJson(const SendRequest& request) {
    json::Writer out;
    out.BeginObject();
    for (const auto& [name, value] : request.headers) out.Field(name, value);
    out.EndObject();
    return out.Take();
}

/// Octets in base64 with a line end after each 76.
size_t Base64Lines(size_t bytes) { return (bytes + 56) / 57 * 2 + (bytes + 2) / 3 * 4; }

/// What a body takes at least: as it is, quoted or in base64.
size_t EncodedBody(const std::optional<std::string>& body) {
    if (!body) return 0;
    const auto escaped = static_cast<size_t>(std::count_if(body->begin(), body->end(), [](char c) {
        return static_cast<unsigned char>(c) >= 0x80;
    }));
    return std::min(body->size() + 2 * escaped, Base64Lines(body->size()));
}

/// The encoded message without building it; a few headers less than the truth, which the worker
/// measures.
size_t EncodedSize(const SendRequest& request) {
    size_t bytes = EncodedBody(request.html) + EncodedBody(request.text);
    for (const auto& attachment : request.attachments) {
        bytes += Base64Lines(attachment.content.size());
    }
    return bytes;
}

}  // namespace

size_t CountRecipients(const SendRequest& request) {
    std::set<std::string> keys;
    for (const auto& [mailbox, kind] : AllRecipients(request)) keys.insert(mailbox->Key());
    return keys.size();
}

Acceptor::Acceptor(
    db::Pool& pool,
    SenderRule& senders,
    access::Idempotency& idempotency,
    blob::BlobStore& blobs,
    base::UuidSource& ids,
    const base::Clock& clock,
    std::function<void()> wake_workers,
    Options options
)
    : senders_(senders),
      idempotency_(idempotency),
      blobs_(blobs),
      ids_(ids),
      clock_(clock),
      wake_workers_(std::move(wake_workers)),
      batcher_(
          pool,
          {.name = "accept",
           .plane = db::Plane::kAccept,
           .max_batch = 256,
           .max_queue = options.max_queue},
          [this](db::Transaction& tx, std::span<Item* const> items) { Apply(tx, items); }
      ) {}

void Acceptor::Check(const model::Principal& principal, const SendRequest& request) {
    // Neither templates nor topics exist yet, so none is found.
    if (request.template_ref) throw base::NotFound("Template");
    CheckSender(principal, request);
    if (request.topic) {
        json::Problems problems;
        problems.Add(
            request.path.empty() ? "topic_id" : base::Cat(request.path, ".topic_id"),
            "no such topic.", "unknown_id"
        );
        problems.ThrowIfAny();
    }
    request.attachment_problems.ThrowIfAny();
    if (EncodedSize(request) > kMaxEncodedBytes) {
        throw Error(
            ErrorCode::kPayloadTooLarge,
            base::Cat("The message exceeds ", kMaxEncodedBytes, " bytes.")
        )
            .WithReason("message_too_large");
    }
}

void Acceptor::CheckSender(const model::Principal& principal, const SendRequest& request) {
    const std::string& domain = request.from.domain;
    if (IsSimulatorDomain(domain)) {
        for (const auto& [mailbox, kind] : AllRecipients(request)) {
            if (!IsSimulatorDomain(mailbox->domain)) {
                throw SenderRefused(
                    domain, "it reaches simulator addresses only", "simulator_sender_only"
                );
            }
        }
        if (principal.domain) {
            throw SenderRefused(
                domain, "the key is restricted to another domain", "api_key_domain_restricted"
            );
        }
    } else {
        const SenderRule::Sender sender = senders_.Check(principal.tenant, domain);
        switch (sender.verdict) {
            case SenderRule::Verdict::kNotFound:
                throw SenderRefused(
                    domain, "it is not a domain of this organization", "domain_not_found"
                );
            case SenderRule::Verdict::kNotVerified:
                throw SenderRefused(domain, "it is not verified", "domain_not_verified");
            case SenderRule::Verdict::kDisabled:
                throw SenderRefused(domain, "sending is disabled for it", "sending_disabled");
            case SenderRule::Verdict::kUsable: break;
        }
        if (principal.domain && *principal.domain != sender.id) {
            throw SenderRefused(
                domain, "the key is restricted to another domain", "api_key_domain_restricted"
            );
        }
    }
}

AcceptedEmail Acceptor::Prepare(
    const model::Principal& principal, SendRequest&& request, const std::string& entrance
) {
    AcceptedEmail out;
    Email& email = out.email;
    email.id = model::EmailId(ids_.Next());
    email.tenant = principal.tenant;
    email.created_at = clock_.Now();
    email.scheduled_at = request.scheduled_at;
    email.status =
        request.scheduled_at ? model::EmailStatus::kScheduled : model::EmailStatus::kQueued;
    email.last_event = model::LastEventOf(email.status);
    email.message_id = request.message_id.value_or(
        base::Cat('<', email.id.ToString(), '@', request.from.domain, '>')
    );
    email.from_text = request.from.text;
    email.from_domain = request.from.domain;
    email.subject = request.subject;
    email.addresses = AddressesJson(request);
    email.tags = TagsJson(request);
    email.headers = HeadersJson(request);
    email.stream = request.stream;
    email.entrance = entrance;
    email.actor = principal.Actor();
    out.recipients = MakeRecipients(request, model::EmailStatus::kQueued);
    email.recipient_count = static_cast<int64_t>(out.recipients.size());

    out.content = {std::move(request.html), std::move(request.text), std::nullopt};
    const size_t size = out.content.html.value_or("").size() + out.content.text.value_or("").size();
    if (size > kMaxInlineContent) {
        out.content = {std::nullopt, std::nullopt, blobs_.Put(PackContent(out.content))};
    }
    for (RequestedAttachment& wanted : request.attachments) {
        AttachmentRow row;
        row.id = model::AttachmentId(ids_.Next());
        row.position = static_cast<int64_t>(out.attachments.size());
        row.filename = std::move(wanted.filename);
        row.content_type = std::move(wanted.content_type);
        row.content_id = std::move(wanted.content_id);
        if (wanted.url.empty()) {
            row.size = static_cast<int64_t>(wanted.content.size());
            row.blob_key = blobs_.Put(wanted.content);
        } else {
            row.status = "pending";
            row.url = std::move(wanted.url);
        }
        out.attachments.push_back(std::move(row));
    }
    const base::Time due = request.scheduled_at.value_or(email.created_at);
    for (const RecipientRow& recipient : out.recipients) {
        queue::QueueRow row;
        row.email = email.id;
        row.ordinal = recipient.ordinal;
        row.tenant = email.tenant;
        row.lane = email.stream == "bulk" ? queue::Lane::kBulk : queue::Lane::kTransactional;
        row.due_at = due;
        row.first_due_at = due;
        out.queue.push_back(row);
    }
    if (request.scheduled_at) {
        out.scheduled_event = model::EventId(ids_.Next());
        out.scheduled_event_data =
            events::ScheduledData(FactsOf(email), *request.scheduled_at, email.recipient_count);
    }
    return out;
}

void Acceptor::Commit(std::shared_ptr<Item> item, std::function<void(std::exception_ptr)> done) {
    const bool taken = batcher_.Submit(
        std::move(item),
        [this, done = std::move(done)](std::exception_ptr failure) {
            OPENSEND_CRASH_POINT("accept_committed");
            if (!failure) wake_workers_();
            done(failure);
        }
    );
    if (!taken) throw base::Unavailable("queue_full", "too many requests wait for a commit", 1);
}

void Acceptor::Apply(db::Transaction& tx, std::span<Item* const> items) {
    std::vector<const AcceptedEmail*> accepted;
    for (Item* item : items) {
        item->replayed.reset();
        item->refused.reset();
        if (item->use) {
            try {
                if (!idempotency_.Store(tx, *item->use, item->answer, false, item->now)) {
                    item->replayed = idempotency_.Find(tx, *item->use, item->now);
                    if (!item->replayed) throw base::Unavailable("database_unavailable");
                    continue;
                }
            } catch (const Error& error) {
                if (error.code() != ErrorCode::kInvalidIdempotentRequest) throw;
                item->refused = error;
                continue;
            }
        }
        for (const AcceptedEmail& email : item->emails) accepted.push_back(&email);
    }
    if (accepted.empty()) return;
    EmailStore::Insert(tx, accepted, ids_);
    OPENSEND_CRASH_POINT("accept_applied");
    for (const AcceptedEmail* item : accepted) {
        if (!item->scheduled_event_data) continue;
        events::Append(
            tx, {*item->scheduled_event, item->email.tenant, model::EventType::kEmailScheduled,
                 item->email.created_at, item->email.id.ToString(), *item->scheduled_event_data,
                 base::Cat("email.scheduled:", item->email.id.ToString(), ":0")}
        );
    }
}

}  // namespace opensend::emails
