#include "kernel/resources/files/files_api.h"

#include <algorithm>
#include <cctype>

#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/db/transaction.h"
#include "kernel/resources/emails/email_store.h"
#include "kernel/resources/received/received_store.h"

namespace opensend::files {
namespace {

constexpr std::string_view kBytes = "application/octet-stream";
/// Parts of type names that mean markup or program.
constexpr std::string_view kActive[] = {"html", "svg", "xml", "script", "mathml", "x-sh"};

bool IsTypeCharacter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("/!#$&^_.+-").find(c) != std::string_view::npos;
}

/// Where the bytes lie and what they are called.
struct Found {
    std::string blob_key, content_type;
};

std::optional<Found> Look(db::Session& session, const crypto::FileRef& file) {
    const model::TenantId tenant(file.org);
    switch (file.kind) {
        case crypto::FileKind::kSentAttachment: {
            const auto row = emails::EmailStore::FindAttachment(
                session, tenant, model::AttachmentId(file.object)
            );
            if (!row || !row->blob_key) return std::nullopt;
            return Found{*row->blob_key, row->content_type};
        }
        case crypto::FileKind::kReceivedAttachment: {
            const auto row = received::ReceivedStore::FindAttachment(
                session, tenant, model::AttachmentId(file.object)
            );
            if (!row) return std::nullopt;
            return Found{row->blob_key, row->content_type};
        }
        case crypto::FileKind::kRawReceived: {
            const auto row =
                received::ReceivedStore::Find(session, tenant, received::ReceivedId(file.object));
            if (!row || !row->raw_blob_key) return std::nullopt;
            return Found{*row->raw_blob_key, "message/rfc822"};
        }
        case crypto::FileKind::kExport:
        case crypto::FileKind::kSharedPage: return std::nullopt;
    }
    return std::nullopt;
}

}  // namespace

std::string ServedType(std::string_view content_type) {
    const std::string type =
        base::AsciiLower(base::Trim(content_type.substr(0, content_type.find(';'))));
    const bool well_formed = type.size() <= 127 && std::count(type.begin(), type.end(), '/') == 1 &&
                             type.front() != '/' && type.back() != '/' &&
                             std::all_of(type.begin(), type.end(), IsTypeCharacter);
    const bool active = std::any_of(std::begin(kActive), std::end(kActive), [&](auto part) {
        return type.find(part) != std::string::npos;
    });
    return well_formed && !active ? type : std::string(kBytes);
}

std::string DownloadDisposition(std::string_view filename) {
    std::string plain, encoded;
    for (size_t at = 0; at < filename.size();) {
        const size_t start = at;
        const uint32_t code = base::NextCodePoint(filename, at);
        if (code < 0x20 || code == 0x7f) continue;
        const bool quotable = code < 0x7f && code != '"' && code != '\\' && code != '%';
        plain += quotable ? static_cast<char>(code) : '_';
        const bool bare = code < 0x7f && (std::isalnum(static_cast<int>(code)) != 0 ||
                                          code == '.' || code == '-' || code == '_');
        for (size_t i = start; i < at; ++i) {
            if (bare) {
                encoded += filename[i];
            } else {
                encoded += base::Cat('%', base::AsciiUpper(base::HexEncode(filename.substr(i, 1))));
            }
        }
    }
    if (plain.empty()) return "attachment";
    std::string out = base::Cat("attachment; filename=\"", plain, '"');
    if (plain != filename) out += base::Cat("; filename*=UTF-8''", encoded);
    return out;
}

void FilesApi::Mount(api::Router& router) {
    using model::RouteClass;
    using M = api::Method;
    using A = FilesApi;
    static constexpr RouteClass kP = RouteClass::kPublic;
    static constexpr api::RouteTraits kUnlogged = {.unlogged = true};
    // clang-format off
    static const api::Route<FilesApi> kRoutes[] = {
        {M::GET, "/files/:token", kP, &A::Get,
         {.id = "files.get", .summary = "Download a file by its signed link",
          .answers = "200 */*", .refusals = "410"}, kUnlogged},
    };
    // clang-format on
    router.Mount(kRoutes, *this);
}

api::Answer FilesApi::Get(const std::shared_ptr<api::Call>& call) {
    const auto token = call->params.find("token");
    const crypto::FileRef file =
        links_.Open(token == call->params.end() ? "" : token->second, call->now);
    std::optional<Found> found;
    {
        db::Reader reader(pool_, db::Scope(model::TenantId(file.org)));
        found = Look(reader, file);
    }
    auto bytes = found ? blobs_.Find(found->blob_key) : std::nullopt;
    if (!bytes) throw base::NotFound("File");
    http::Response response;
    response.headers.Set("Content-Type", ServedType(found->content_type));
    response.headers.Set("Content-Disposition", DownloadDisposition(file.name));
    response.headers.Set("Content-Security-Policy", "sandbox");
    response.headers.Set("Cache-Control", "private, no-store");
    response.body = std::move(*bytes);
    return response;
}

}  // namespace opensend::files
