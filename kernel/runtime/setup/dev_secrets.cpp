#include "kernel/runtime/setup/dev_secrets.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "kernel/base/check.h"
#include "kernel/base/encoding.h"
#include "kernel/base/scope_exit.h"
#include "kernel/base/text.h"
#include "kernel/runtime/setup/secret_rules.h"

namespace opensend::runtime {
namespace {

constexpr std::string_view kDevSecretsFile = "/dev-secrets.env";

base::Failure<std::string> SystemFailure(const std::string& path) {
    std::array<char, 256> buffer{};
    return {base::Cat(path, ": ", ::strerror_r(errno, buffer.data(), buffer.size()))};
}

bool WriteWhole(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        text.remove_prefix(static_cast<size_t>(n));
    }
    return ::fsync(fd) == 0;
}

/// Replaces the file as a whole: a reader sees the old or the new content.
bool ReplaceFile(const std::string& path, std::string_view text) {
    const std::string fresh = base::Cat(path, ".new");
    ::unlink(fresh.c_str());  // left by a process that died here
    const int fd =
        ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return false;
    const bool written = WriteWhole(fd, text);
    return ::close(fd) == 0 && written && ::rename(fresh.c_str(), path.c_str()) == 0;
}

}  // namespace

std::string RandomSecretHex() {
    std::string bytes(32, '\0');
    size_t size = 0;
    while (size < bytes.size()) {
        const ssize_t n = ::getrandom(bytes.data() + size, bytes.size() - size, 0);
        OPENSEND_CHECK(n > 0 || errno == EINTR, "getrandom works");
        if (n > 0) size += static_cast<size_t>(n);
    }
    std::string text = base::HexEncode(bytes);
    ::explicit_bzero(bytes.data(), bytes.size());
    return text;
}

base::Result<DevSecrets, std::string> ReadDevSecrets(const std::string& data_dir) {
    const std::string path = base::Cat(data_dir, kDevSecretsFile);
    if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return DevSecrets{};
    const auto text = ReadSecretFile(path, false);
    if (!text) return base::Failure{text.error()};
    DevSecrets secrets;
    for (const auto line : base::Split(*text, '\n')) {
        const size_t equals = line.find('=');
        if (base::Trim(line).empty() || line.front() == '#') continue;
        if (equals == std::string_view::npos) {
            return base::Failure{base::Cat(path, ": a line has no equals sign")};
        }
        secrets[std::string(base::Trim(line.substr(0, equals)))] =
            std::string(base::Trim(line.substr(equals + 1)));
    }
    return secrets;
}

base::Result<DevSecrets, std::string> MakeDevSecrets(
    const std::string& data_dir, const std::vector<std::string>& names
) {
    std::error_code error;
    const bool existed = std::filesystem::exists(data_dir, error);
    std::filesystem::create_directories(data_dir, error);
    if (!existed && !error) ::chmod(data_dir.c_str(), 0700);
    const int dir = ::open(data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return SystemFailure(data_dir);
    const base::ScopeExit close_dir([dir] { ::close(dir); });
    if (::flock(dir, LOCK_EX) != 0) return SystemFailure(data_dir);
    auto secrets = ReadDevSecrets(data_dir);
    if (!secrets) return secrets;
    bool changed = false;
    for (const auto& name : names) {
        changed = secrets->emplace(name, RandomSecretHex()).second || changed;
    }
    if (!changed) return secrets;
    std::string text = "# Made by the server for local evaluation only.\n";
    for (const auto& [name, value] : *secrets) text += base::Cat(name, "=", value, "\n");
    const std::string path = base::Cat(data_dir, kDevSecretsFile);
    if (!ReplaceFile(path, text)) return SystemFailure(path);
    return secrets;
}

}  // namespace opensend::runtime
