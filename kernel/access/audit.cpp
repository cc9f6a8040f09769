#include "kernel/access/audit.h"

#include <algorithm>

#include "kernel/base/check.h"
#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/crypto/digest.h"
#include "kernel/json/writer.h"

namespace opensend::access {
namespace {

constexpr size_t kMaxMembers = 50;
constexpr size_t kMaxTextBytes = 1'000;
constexpr int kMaxMetadataDepth = 6;
constexpr int kVerifyPage = 500;

constexpr db::Query kOpenChain{"audit.open_chain", R"sql(
    INSERT INTO audit_heads (org_id, sequence, hash) VALUES ($1, 0, $2)
    ON CONFLICT (org_id) DO NOTHING)sql"};
constexpr db::Query kHoldChain{
    "audit.hold_chain", "SELECT sequence, hash FROM audit_heads WHERE org_id = $1 {for_update}"};
constexpr db::Query kMoveHead{
    "audit.move_head", "UPDATE audit_heads SET sequence = $1, hash = $2 WHERE org_id = $3"};
constexpr db::Query kAddEntry{"audit.add_entry", R"sql(
    INSERT INTO audit_log (org_id, sequence, id, created_at, action, target_type, target_id,
                           actor_type, actor_id, entry, prev_hash, hash)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12))sql"};
constexpr db::Query kReadHead{
    "audit.read_head", "SELECT sequence, hash FROM audit_heads WHERE org_id = $1"};
constexpr db::Query kReadChain{"audit.read_chain", R"sql(
    SELECT sequence, entry, prev_hash, hash FROM audit_log
    WHERE org_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3)sql"};

bool SpeaksOfSecret(std::string_view name) {
    const std::string lower = base::AsciiLower(name);
    for (const std::string_view word :
         {"secret", "token", "password", "authorization", "cookie", "credential", "private",
          "signature"}) {
        if (lower.find(word) != std::string::npos) return true;
    }
    return false;
}

void WriteReduced(json::Writer& out, const json::Value& value, int depth) {
    if (value.IsObject()) {
        out.BeginObject();
        size_t written = 0;
        for (size_t i = 0; i < value.size() && written < kMaxMembers; ++i) {
            if (depth >= kMaxMetadataDepth || SpeaksOfSecret(value.NameAt(i))) continue;
            out.Key(value.NameAt(i));
            WriteReduced(out, value.MemberAt(i), depth + 1);
            ++written;
        }
        out.EndObject();
    } else if (value.IsArray()) {
        out.BeginArray();
        const size_t count = depth >= kMaxMetadataDepth ? 0 : std::min(value.size(), kMaxMembers);
        for (size_t i = 0; i < count; ++i) WriteReduced(out, value.At(i), depth + 1);
        out.EndArray();
    } else if (value.IsString()) {
        out.String(base::TruncateUtf8(value.AsString(), kMaxTextBytes));
    } else {
        out.Raw(json::Canonical(value));
    }
}

std::string Reduced(std::string_view metadata) {
    const auto document = json::Document::Parse(metadata);
    OPENSEND_CHECK(document && document->root().IsObject(), "audit metadata is an object");
    json::Writer out;
    WriteReduced(out, document->root(), 1);
    return out.Take();
}

}  // namespace

std::string AuditText(const AuditEntry& entry, std::string_view id, int64_t sequence) {
    json::Writer out;
    out.BeginObject()
        .Field("id", std::string(id))
        .Field("org_id", entry.tenant.ToString())
        .Field("sequence", sequence)
        .Field("action", entry.action)
        .Field("target_type", entry.target_type)
        .Field("target_id", entry.target_id)
        .Key("actor")
        .BeginObject()
        .Field("type", entry.actor.type)
        .Field("id", entry.actor.id)
        .Field("label", entry.actor.label)
        .EndObject()
        .Field("source", entry.origin.source)
        .Field("ip", entry.origin.ip)
        .Field("user_agent", entry.origin.user_agent)
        .Field("request_id", entry.origin.request_id)
        .RawField("metadata", Reduced(entry.metadata))
        .Field("created_at", entry.time)
        .EndObject();
    const auto document = json::Document::Parse(out.Take());
    OPENSEND_CHECK(document, "what the writer wrote parses");
    return json::Canonical(document->root());
}

std::string AuditHash(std::string_view previous_hex, std::string_view text) {
    const auto previous = base::HexDecode(previous_hex);
    OPENSEND_CHECK(previous && previous->size() == 32, "a hash of the chain");
    return base::HexEncode(crypto::Sha256(base::Cat(*previous, text)));
}

void Audit(db::Session& tx, base::UuidSource& ids, const AuditEntry& entry) {
    tx.Change(kOpenChain, {entry.tenant, kAuditStart});
    const auto head = tx.First(kHoldChain, {entry.tenant});
    OPENSEND_CHECK(head, "the chain was opened just now");
    const int64_t sequence = head->Int(0) + 1;
    const std::string previous = head->Text(1);
    const std::string id = ids.Next().ToString();
    const std::string text = AuditText(entry, id, sequence);
    const std::string hash = AuditHash(previous, text);
    tx.Change(
        kAddEntry, {entry.tenant, sequence, id, entry.time, entry.action, entry.target_type,
                    entry.target_id, entry.actor.type, entry.actor.id, text, previous, hash}
    );
    tx.Change(kMoveHead, {sequence, hash, entry.tenant});
}

std::optional<AuditBreak> VerifyAudit(
    db::Session& reader, const model::TenantId& tenant, int64_t* entries
) {
    *entries = 0;
    int64_t last = 0;
    std::string hash(kAuditStart);
    for (bool more = true; more;) {
        const db::Rows rows = reader.Execute(kReadChain, {tenant, last, kVerifyPage});
        more = rows.size() == static_cast<size_t>(kVerifyPage);
        for (const db::Row& row : rows) {
            const int64_t sequence = row.Int(0);
            const bool first = *entries == 0;
            // Retention removes a prefix: the oldest entry that is left is taken as the start.
            if (first && sequence != 1) {
                hash = row.Text(2);
            } else if (sequence != last + 1) {
                return AuditBreak{last + 1, "the entry is missing"};
            }
            if (row.Text(2) != hash) {
                return AuditBreak{sequence, "it does not follow the entry before it"};
            }
            hash = AuditHash(hash, row.Text(1));
            if (row.Text(3) != hash) return AuditBreak{sequence, "its text was changed"};
            last = sequence;
            ++*entries;
        }
    }
    const auto head = reader.First(kReadHead, {tenant});
    const int64_t expected = head ? head->Int(0) : 0;
    if (expected != last) return AuditBreak{last + 1, "entries at the end are missing"};
    if (head && expected > 0 && head->Text(1) != hash) {
        return AuditBreak{last, "the head of the chain names another hash"};
    }
    return std::nullopt;
}

void ExportAudit(
    db::Session& reader,
    const model::TenantId& tenant,
    const std::function<void(const std::string& line)>& out
) {
    int64_t last = 0;
    for (bool more = true; more;) {
        const db::Rows rows = reader.Execute(kReadChain, {tenant, last, kVerifyPage});
        more = rows.size() == static_cast<size_t>(kVerifyPage);
        for (const db::Row& row : rows) {
            last = row.Int(0);
            const std::string& entry = row.Text(1);
            out(base::Cat(
                std::string_view(entry).substr(0, entry.size() - 1), ",\"prev_hash\":\"",
                row.Text(2), "\",\"hash\":\"", row.Text(3), "\"}"
            ));
        }
    }
}

}  // namespace opensend::access
