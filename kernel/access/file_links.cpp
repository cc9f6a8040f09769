#include "kernel/access/file_links.h"

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"

namespace opensend::access {
namespace {

constexpr std::string_view kFilesPurpose = "files";
constexpr size_t kMaxLinkName = 1024;

std::string WithoutSlash(std::string url) {
    while (!url.empty() && url.back() == '/') url.pop_back();
    return url;
}

}  // namespace

FileLinks::FileLinks(const InstanceKeys& keys, std::string app_url, base::Duration life)
    : keys_(keys), prefix_(WithoutSlash(std::move(app_url)) + "/files/"), life_(life) {}

FileLinks::Link FileLinks::Make(
    crypto::FileKind kind,
    const model::TenantId& tenant,
    const base::Uuid& object,
    std::string_view name,
    base::Time now
) const {
    const InstanceKeys::Key& key = keys_.Active(kFilesPurpose);
    const base::Time expires = now + life_;
    crypto::FileRef file;
    file.kind = kind;
    file.org = tenant.uuid();
    file.object = object;
    file.expires = expires.Seconds();
    file.name = base::TruncateUtf8(name, kMaxLinkName);
    return {prefix_ + crypto::MakeFileToken({key.kid, key.bytes}, file), expires};
}

crypto::FileRef FileLinks::Open(std::string_view token, base::Time now) const {
    auto file = crypto::ReadFileToken(token, [this](uint32_t kid) -> std::optional<std::string> {
        const InstanceKeys::Key* key = keys_.Find(kFilesPurpose, kid);
        return key == nullptr ? std::nullopt : std::optional(key->bytes);
    });
    if (!file) throw base::NotFound("File");
    if (now.Seconds() > file->expires) {
        throw base::Error(base::ErrorCode::kGone, "This link is no longer available.")
            .WithReason("link_expired");
    }
    return std::move(*file);
}

}  // namespace opensend::access
