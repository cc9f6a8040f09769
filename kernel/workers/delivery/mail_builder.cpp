#include "kernel/workers/delivery/mail_builder.h"

#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/crypto/token.h"
#include "kernel/db/transaction.h"
#include "kernel/mime/dkim.h"
#include "kernel/resources/emails/email_store.h"
#include "kernel/runtime/log.h"
#include "kernel/runtime/metrics.h"

namespace opensend::delivery {
namespace {

constexpr size_t kMaxFetch = 30 * 1024 * 1024;
constexpr size_t kMaxMessage = 40 * 1024 * 1024;
constexpr std::chrono::seconds kFetchDeadline{30};
constexpr size_t kMaxKeys = 1000;

BuildFailure FetchFailed(std::string_view why) {
    return {
        BuildFailure::Kind::kFailed, "attachment_fetch_failed",
        base::Cat("An attachment could not be fetched: ", why, '.')};
}

crypto::TokenKey KeyFor(const access::InstanceKeys& keys, std::string_view purpose) {
    const access::InstanceKeys::Key& key = keys.Active(purpose);
    return {key.kid, key.bytes};
}

crypto::RecipientRef RefOf(const ClaimedRecipient& work) {
    return {work.row.email.uuid(), static_cast<uint16_t>(work.row.ordinal)};
}

/// The address that brings a reply back to its message (INB-41); nullopt: none is wanted.
std::optional<mime::Mailbox> ReplyAddress(
    const ClaimedRecipient& work, const mime::Message& message, const access::InstanceKeys& keys
) {
    if (!work.mail->sender.takes_replies || !message.reply_to.empty()) return std::nullopt;
    auto mailbox = mime::ParseMailbox(crypto::MakeTokenAddress(
        crypto::AddressPurpose::kReply, KeyFor(keys, "reply"), RefOf(work),
        work.mail->email.from_domain
    ));
    if (!mailbox.ok()) return std::nullopt;
    return std::move(*mailbox);
}

/// 408, 429 and 5xx are worth another try; so is a silent peer.
bool IsTransient(const egress::FetchResult& result) {
    using egress::ClientFailure;
    if (result.failure == ClientFailure::kNone) {
        return result.status == 408 || result.status == 429 || result.status >= 500;
    }
    return result.failure == ClientFailure::kTimeout ||
           result.failure == ClientFailure::kConnectFailed ||
           result.failure == ClientFailure::kCanceled || result.failure == ClientFailure::kProtocol;
}

}  // namespace

std::optional<BuildFailure> MailBuilder::FetchAttachments(
    const LoadedMail& mail, std::vector<emails::AttachmentRow>& rows
) {
    for (emails::AttachmentRow& row : rows) {
        if (row.blob_key) continue;
        if (row.status == "failed" || !row.url) return FetchFailed("it failed before");
        const auto checked = deps_.guard.Check(*row.url);
        if (!checked.ok() && checked.error().reason != "dns_resolution_failed") {
            return FetchFailed("its URL is not allowed");
        }
        egress::FetchResult result;
        result.failure = egress::ClientFailure::kConnectFailed;
        if (checked.ok()) {
            egress::FetchRequest request;
            request.method = "GET";
            request.url = checked->url.url;
            request.pinned = checked->addresses;
            request.deadline = kFetchDeadline;
            request.max_response_body = kMaxFetch;
            request.cut_body = false;
            result = deps_.http.Fetch(std::move(request));
        }
        if (IsTransient(result)) {
            return BuildFailure{
                BuildFailure::Kind::kLater, "attachment_pending",
                "An attachment could not be fetched yet."};
        }
        const bool good = result.failure == egress::ClientFailure::kNone && result.status >= 200 &&
                          result.status < 300 && !result.body.empty();
        if (good) {
            row.blob_key = deps_.blobs.Put(result.body);
            row.size = static_cast<int64_t>(result.body.size());
        }
        row.status = good ? "stored" : "failed";
        db::Transaction tx(deps_.pool, db::Plane::kDeliver, db::Scope::AllTenants());
        emails::EmailStore::SetAttachment(
            tx, mail.email.tenant, row.id, row.status, row.size, row.blob_key
        );
        tx.Commit();
        if (!good) return FetchFailed("the server refused or sent too much");
    }
    return std::nullopt;
}

MailBuilder::Key MailBuilder::KeyOf(
    const LoadedMail& mail, std::string_view column, const std::string& sealed
) {
    const SenderFacts& sender = mail.sender;
    const std::string name = base::Cat(sender.domain.ToString(), ' ', sender.selector, ' ', column);
    const auto cached = keys_.With([&](auto& map) {
        const auto found = map.find(name);
        return found == map.end() ? nullptr : found->second;
    });
    if (cached) return cached;
    const std::string org = mail.email.tenant.ToString();
    const std::string row = sender.domain.ToString();
    const auto opened = deps_.keyring.Open({"domains", column, org, row}, sealed);
    const auto der = opened.ok() ? base::Base64Decode(opened->Reveal()) : std::nullopt;
    auto key =
        der ? crypto::SigningKey::FromPkcs8(base::Secret(std::string(*der)))
            : base::Result<crypto::SigningKey, std::string>(base::Failure{std::string("sealed")});
    if (!key.ok()) {
        runtime::Count("opensend_decrypt_failures_total", {"domains"});
        OPENSEND_LOG(
            kError, "dkim.key_unavailable", "a signing key does not open", kv("domain_id", row)
        );
        return nullptr;
    }
    auto shared = std::make_shared<const crypto::SigningKey>(std::move(*key));
    keys_.With([&](auto& map) {
        if (map.size() >= kMaxKeys) map.clear();
        map[name] = shared;
    });
    return shared;
}

bool MailBuilder::Sign(const LoadedMail& mail, std::string& bytes) {
    const SenderFacts& sender = mail.sender;
    if (sender.selector.empty()) return false;
    const Key rsa = KeyOf(mail, "dkim_private_rsa", sender.dkim_private_rsa);
    if (!rsa) return false;
    std::vector<mime::DkimKey> keys = {
        {mail.email.from_domain, sender.selector, rsa.get()}
    };
    Key ed25519;
    if (sender.ed25519_verified) {
        ed25519 = KeyOf(mail, "dkim_private_ed25519", sender.dkim_private_ed25519);
        if (!ed25519) return false;
        keys.push_back({mail.email.from_domain, base::Cat(sender.selector, "-ed"), ed25519.get()});
    }
    bytes.insert(0, mime::DkimSign(bytes, keys, deps_.clock.Now()));
    return true;
}

std::string MailBuilder::EnvelopeFrom(const ClaimedRecipient& work, const mime::Message& message)
    const {
    const SenderFacts& sender = work.mail->sender;
    if (!deps_.bounces_arrive || deps_.header_from.contains(work.transport) ||
        !sender.return_path_verified || sender.return_path.empty()) {
        return message.from.Address();
    }
    return crypto::MakeTokenAddress(
        crypto::AddressPurpose::kReturnPath, KeyFor(deps_.instance_keys, "verp"), RefOf(work),
        base::Cat(sender.return_path, '.', work.mail->email.from_domain)
    );
}

MailBuilder::Built MailBuilder::Build(const ClaimedRecipient& work, base::MonoTime deadline) {
    const LoadedMail& mail = *work.mail;
    std::vector<emails::AttachmentRow> attachments;
    if (mail.has_attachments) {
        db::Reader reader(deps_.pool, db::Scope::AllTenants(), db::Plane::kDeliver);
        attachments = emails::EmailStore::Attachments(reader, mail.email.tenant, mail.email.id);
    }
    if (auto failure = FetchAttachments(mail, attachments)) return *failure;
    mime::Message message = ComposeMessage(mail, attachments, deps_.blobs);
    if (auto reply = ReplyAddress(work, message, deps_.instance_keys)) {
        message.reply_to.push_back(std::move(*reply));
    }
    mime::Copy copy;
    copy.opensend_id = crypto::MakeAddressToken(
        crypto::AddressPurpose::kReturnPath, KeyFor(deps_.instance_keys, "verp"), RefOf(work),
        mail.email.from_domain
    );
    const std::string org = mail.email.tenant.ToString();
    copy.feedback_id = base::Cat(mail.email.stream, ':', org.substr(24), ":-:", work.transport);
    copy.boundary_seed = base::Cat(mail.email.message_id, ':', work.row.ordinal);
    copy.smtputf8 = !base::IsAscii(work.address) || message.from.NeedsSmtpUtf8();
    std::string bytes = mime::Build(message, copy);
    if (bytes.size() > kMaxMessage) {
        return BuildFailure{
            BuildFailure::Kind::kFailed, "message_too_large",
            "The encoded message exceeds 40 MiB."};
    }
    if (!Sign(mail, bytes)) {
        return BuildFailure{
            BuildFailure::Kind::kSigningKey, "auth_config",
            "The signing key of the domain cannot be read."};
    }
    auto out = std::make_shared<model::OutgoingMessage>();
    // Equal while an earlier try may have been taken: an unknown outcome leaves `tries` as it is.
    out->id = base::Cat(mail.email.id.ToString(), '_', work.row.ordinal, '_', work.row.tries);
    out->tenant = org;
    out->mail_from = EnvelopeFrom(work, message);
    out->recipients = {work.address};
    out->data = std::move(bytes);
    if (mail.sender.tls_enforced) out->meta.emplace_back("tls", "required");
    out->attempt = static_cast<uint32_t>(work.row.tries + 1);
    out->deadline = deadline;
    return std::shared_ptr<const model::OutgoingMessage>(std::move(out));
}

}  // namespace opensend::delivery
