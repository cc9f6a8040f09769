#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel/base/uuid.h"
#include "kernel/blob/blob_store.h"
#include "kernel/db/session.h"
#include "kernel/events/payload.h"
#include "kernel/mime/builder.h"
#include "kernel/queue/queue_store.h"
#include "kernel/resources/emails/email.h"

namespace opensend::delivery {

/// What the claim transaction says about the sender, from the domain row.
struct SenderFacts {
    bool usable = false;  // verified and enabled, exactly the From domain of this tenant
    model::DomainId domain;
    std::string selector;
    std::string dkim_private_rsa, dkim_private_ed25519;  // sealed
    bool ed25519_verified = false;      // its record is in DNS: both signatures are made
    bool return_path_verified = false;  // bounce notices to return_path.<domain> arrive
    std::string return_path;
    bool tls_enforced = false;
    bool takes_replies = false;  // receives mail and wants replies matched
};

/// A message as the worker holds it: shared by its recipients of one claim.
struct LoadedMail {
    emails::Email email;
    emails::EmailContent content;
    bool has_attachments = false;
    SenderFacts sender;
    std::string org_state;
    events::EmailFacts facts;
};

/// One claimed recipient with everything that was read in the claim transaction.
struct ClaimedRecipient {
    queue::QueueRow row;
    queue::Lease lease;
    std::shared_ptr<const LoadedMail> mail;
    std::string address, match_key;
    model::EmailStatus status = model::EmailStatus::kQueued;
    std::optional<std::string> suppression_id, suppression_reason;
    // Set when an attempt begins:
    model::AttemptId attempt;
    std::string transport;
    std::string route;  // why that one, as JSON
    base::Time started_at;
};

/// Claims due recipients of a lane and reads what dispatch needs, in the caller's transaction.
/// A message that was scheduled is queued from now on (T03).
/// `turn` as in QueueStore::Claim.
std::vector<std::shared_ptr<ClaimedRecipient>> ClaimMail(
    db::Session& tx,
    queue::Lane lane,
    const std::string& owner,
    base::Time now,
    base::Time until,
    int limit,
    std::string& turn,
    base::UuidSource& ids
);

/// The recipients of a lease that are still its own, as ClaimMail gave them.
std::vector<std::shared_ptr<ClaimedRecipient>> LoadLeased(
    db::Session& tx, const queue::Lease& lease
);

/// The message to build, with bodies and attachments from the blob store. Throws base::Error when
/// the blob store cannot answer.
mime::Message ComposeMessage(
    const LoadedMail& mail,
    const std::vector<emails::AttachmentRow>& attachments,
    blob::BlobStore& blobs
);

}  // namespace opensend::delivery
