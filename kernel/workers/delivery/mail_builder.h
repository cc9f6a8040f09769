#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "kernel/access/instance_keys.h"
#include "kernel/base/guarded.h"
#include "kernel/blob/blob_store.h"
#include "kernel/crypto/keyring.h"
#include "kernel/crypto/signature.h"
#include "kernel/db/pool.h"
#include "kernel/egress/client.h"
#include "kernel/egress/guard.h"
#include "kernel/model/transport.h"
#include "kernel/workers/delivery/claimed_mail.h"

namespace opensend::delivery {

/// Why no message could be built.
struct BuildFailure {
    enum class Kind { kFailed = 1, kLater, kSigningKey };
    Kind kind = Kind::kFailed;
    std::string reason, message;
};

/// From a claimed recipient to the exact bytes: bodies and attachments, remote files fetched
/// through the egress guard and kept, MIME, DKIM. Thread-safe; may block on a fetch for up to 30 s.
class MailBuilder {
public:
    struct Deps {
        db::Pool& pool;
        blob::BlobStore& blobs;
        const crypto::Keyring& keyring;
        const egress::Guard& guard;
        egress::Client& http;
        const base::Clock& clock;
        const access::InstanceKeys& instance_keys;
        bool bounces_arrive = false;  // notices to return-path addresses reach this installation
        std::set<std::string> header_from;  // transports that always show the From address
    };
    explicit MailBuilder(Deps deps) : deps_(std::move(deps)) {}

    using Built = std::variant<std::shared_ptr<const model::OutgoingMessage>, BuildFailure>;
    Built Build(const ClaimedRecipient& work, base::MonoTime deadline);

private:
    std::optional<BuildFailure> FetchAttachments(
        const LoadedMail& mail, std::vector<emails::AttachmentRow>& rows
    );
    using Key = std::shared_ptr<const crypto::SigningKey>;
    /// Null: the key does not open. `column` names the sealed text of the domain row.
    Key KeyOf(const LoadedMail& mail, std::string_view column, const std::string& sealed);
    /// Puts the signatures in front of the bytes, Ed25519 on top of RSA (DKIM-02). False: a key is
    /// missing, and nothing may leave unsigned.
    bool Sign(const LoadedMail& mail, std::string& bytes);

    /// The envelope sender of MIME-20.
    std::string EnvelopeFrom(const ClaimedRecipient& work, const mime::Message& message) const;

    Deps deps_;
    base::Guarded<std::map<std::string, Key>> keys_;  // by selector and column
};

}  // namespace opensend::delivery
