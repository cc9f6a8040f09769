#include "kernel/runtime/setup/secret_rules.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>

#include "kernel/base/scope_exit.h"
#include "kernel/base/text.h"

namespace opensend::runtime {
namespace {

constexpr size_t kMaxSecretFile = 64 * 1024;

bool IsRepetition(std::string_view value, size_t period) {
    if (value.size() <= period || value.size() % period != 0) return false;
    return value.substr(period) == value.substr(0, value.size() - period);
}

std::string ErrnoText() {
    std::array<char, 256> buffer{};
    return ::strerror_r(errno, buffer.data(), buffer.size());
}

}  // namespace

bool IsPlaceholder(std::string_view value) {
    const std::string text = base::AsciiLower(base::Trim(value));
    for (const char* part :
         {"replace-before-production", "replace-me", "replace_me", "changeme", "change-me",
          "change_me", "placeholder", "your-secret", "your_secret", "example-secret",
          "not-a-secret", "insecure"}) {
        if (text.find(part) != std::string::npos) return true;
    }
    for (const char* whole :
         {"secret", "password", "test", "default", "opensend", "development",
          // The bytes 00 to 1f in both encodings, and 32 zero bytes.
          "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
          "aaecawqfbgcicqolda0odxarehmufryxgbkagxwdhh8=",
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa="}) {
        if (text == whole) return true;
    }
    if (text == std::string(64, '0')) return true;
    constexpr std::string_view kDigits = "0123456789abcdef";
    if (text == kDigits || (text.starts_with(kDigits) && IsRepetition(text, kDigits.size()))) {
        return true;
    }
    return text.starts_with("${") || (text.size() > 1 && text.front() == '<' && text.back() == '>');
}

bool IsWeak(std::string_view value) {
    if (std::set<char>(value.begin(), value.end()).size() < 8) return true;
    for (size_t period = 1; period <= 8; ++period) {
        // A last incomplete repetition does not make it better.
        if (value.size() >= 2 * period &&
            value.substr(period) == value.substr(0, value.size() - period)) {
            return true;
        }
    }
    return false;
}

base::Result<std::string, std::string> ReadSecretFile(
    const std::string& path, bool private_only, bool owner_only
) {
    const auto fail = [&path](std::string_view reason) {
        return base::Failure{base::Cat(path, ": ", reason)};
    };
    // Without O_NONBLOCK a FIFO would hold the start for ever.
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return fail(ErrnoText());
    const base::ScopeExit close_fd([fd] { ::close(fd); });
    struct stat info {};
    if (::fstat(fd, &info) != 0) return fail(ErrnoText());
    if (!S_ISREG(info.st_mode)) return fail("not a regular file");
    if (private_only && (info.st_mode & S_IROTH) != 0) return fail("readable by every user");
    if (owner_only && (info.st_mode & 077) != 0) return fail("mode must be 0400 or 0600");
    std::string text(kMaxSecretFile + 1, '\0');
    size_t size = 0;
    while (size < text.size()) {
        const ssize_t n = ::read(fd, text.data() + size, text.size() - size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(ErrnoText());
        if (n == 0) break;
        size += static_cast<size_t>(n);
    }
    if (size > kMaxSecretFile) return fail("larger than 64 KiB");
    text.resize(size);
    if (!text.empty() && text.back() == '\n') text.pop_back();
    if (!text.empty() && text.back() == '\r') text.pop_back();
    if (text.empty()) return fail("empty");
    return text;
}

std::optional<std::string> NamedSecretPath(std::string_view dir, std::string_view name) {
    if (name.empty() || name.size() > 200) return std::nullopt;
    for (const auto part : base::Split(name, '/')) {
        if (part.empty() || part.front() == '.') return std::nullopt;
        if (!std::all_of(part.begin(), part.end(), [](char c) {
                return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
            }))
            return std::nullopt;
    }
    return base::Cat(dir, "/", name);
}

bool IsSecretName(std::string_view key) {
    const auto name = key.substr(key.rfind('.') + 1);
    for (const char* end :
         {"password", "passwd", "secret", "token", "api_key", "private_key", "secret_access_key",
          "secret_key"}) {
        if (name == end || name.ends_with(base::Cat("_", end))) return true;
    }
    return false;
}

const std::vector<RoleRow>& RoleMatrix() {
    static const std::vector<RoleRow> rows = {
        {"database.url",           "oooooo"},
        {"auth.secret",            "Ro----"},
        {"secrets.master_key",     "RRRRR-"},
        {"secrets.previous_keys",  "ooooo-"},
        {"ingester.job_token",     "-R-o--"},
        {"ingester.inbound_token", "-R----"},
        {"ratelimit.redis_url",    "oo--o-"},
        {"transport.default_url",  "--o---"},
        {"aws.access_key_id",      "-ooo--"},
        {"aws.secret_access_key",  "-ooo--"},
        {"aws.session_token",      "-ooo--"},
        {"google.client_id",       "o-----"},
        {"google.client_secret",   "o-----"},
        {"bootstrap.email",        "o-----"},
        {"bootstrap.password",     "o-----"},
    };
    return rows;
}

const std::vector<std::string>& AllRoles() {
    static const std::vector<std::string> roles = {"api",       "ingester", "worker",
                                                   "scheduler", "smtp",     "migrate"};
    return roles;
}

}  // namespace opensend::runtime
