#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel/access/idempotency.h"
#include "kernel/base/error.h"
#include "kernel/blob/blob_store.h"
#include "kernel/db/batcher.h"
#include "kernel/model/principal.h"
#include "kernel/resources/domains/domain_store.h"
#include "kernel/resources/emails/email.h"
#include "kernel/resources/emails/send_request.h"

namespace opensend::emails {

/// The one door for outgoing mail (SEND-01): semantic checks, then one durable commit that many
/// requests share. Thread-safe.
class Acceptor {
public:
    struct Options {
        size_t max_queue = 50'000;  // requests waiting for a commit; beyond it 503 queue_full
    };
    Acceptor(
        db::Pool& pool,
        domains::SenderRule& senders,
        access::Idempotency& idempotency,
        blob::BlobStore& blobs,
        base::UuidSource& ids,
        const base::Clock& clock,
        std::function<void()> wake_workers,
        Options options
    );

    /// Checks 1–9 of REST 2.1.2 in their order: template, sender rule, key's domain, topic,
    /// attachments, encoded size. Throws.
    void Check(const model::Principal& principal, const SendRequest& request);

    /// One accepted message from a checked request; large parts are in the blob store on return.
    AcceptedEmail Prepare(
        const model::Principal& principal, SendRequest&& request, const std::string& entrance
    );

    /// What a request wants committed, and what came of it.
    struct Item {
        std::vector<AcceptedEmail> emails;
        access::StoredAnswer answer;
        std::optional<access::IdempotencyUse> use;
        base::Time now;
        // Set by the commit:
        std::optional<access::StoredAnswer> replayed;
        std::optional<base::Error> refused;
    };
    /// Commits `item`; `done` is called after the commit on another thread, with the reason when it
    /// failed. Throws 503 queue_full when nothing was taken.
    void Commit(std::shared_ptr<Item> item, std::function<void(std::exception_ptr)> done);

private:
    void CheckSender(const model::Principal& principal, const SendRequest& request);
    void Apply(db::Transaction& tx, std::span<Item* const> items);

    domains::SenderRule& senders_;
    access::Idempotency& idempotency_;
    blob::BlobStore& blobs_;
    base::UuidSource& ids_;
    const base::Clock& clock_;
    std::function<void()> wake_workers_;
    db::Batcher<Item> batcher_;  // last: its thread uses the others
};

/// Units of org.send that a request costs: distinct recipients.
size_t CountRecipients(const SendRequest& request);

}  // namespace opensend::emails
