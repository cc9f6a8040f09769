#include "kernel/cli/plugins/plugin_tools.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <iostream>

#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/crypto/digest.h"
#include "kernel/json/writer.h"
#include "kernel/plugin/load/open_file.h"
#include "kernel/runtime/settings/properties.h"

namespace opensend::cli {
namespace {

constexpr off_t kMaxSmallFile = 64 * 1024;

base::Error FileError(const std::string& path, std::string_view what) {
    return base::Error(base::ErrorCode::kApplication, base::Cat(path, ": ", what));
}

std::string ReadWhole(const std::string& path, off_t limit) {
    const plugin::Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (file.get() < 0 || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
        throw FileError(path, "cannot be read");
    if (status.st_size > limit) throw FileError(path, "is too large");
    auto content = plugin::ReadContent(file.get());
    if (!content.ok()) throw FileError(path, plugin::Describe("read", content.error()));
    return std::move(*content);
}

/// The file that the server would read.
std::string ConfigFileOf(const Global& global) {
    if (!global.config_file.empty()) return global.config_file;
    for (const char* path : {"/etc/opensend/opensend.properties", "./etc/opensend.properties"}) {
        if (std::filesystem::exists(path)) return path;
    }
    throw base::Error(
        base::ErrorCode::kApplication, "there is no configuration file; name one with --config"
    );
}

template <class T>
T OrThrow(const std::string& path, plugin::Checked<T> checked) {
    if (!checked.ok())
        throw base::Error(base::ErrorCode::kApplication, plugin::Describe(path, checked.error()));
    return std::move(*checked);
}

}  // namespace

PluginBytes ReadPluginBytes(const std::string& path) {
    auto opened = OrThrow(path, plugin::OpenBelow("", path));
    PluginBytes out;
    out.bytes = OrThrow(path, plugin::ReadContent(opened.file.get()));
    out.sha256 = base::HexEncode(crypto::Sha256(out.bytes));
    OrThrow(path, plugin::CheckElf(out.bytes));
    out.note = OrThrow(path, plugin::ReadNote(out.bytes));
    out.manifest = OrThrow(path, plugin::ParseManifest(out.note.json));
    return out;
}

std::string PluginNameOf(const std::string& path) {
    std::string name = base::AsciiLower(std::filesystem::path(path).stem().string());
    for (char& c : name) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!plain) c = '_';
    }
    return name;
}

std::string ReadSmallFile(const std::string& path) { return ReadWhole(path, kMaxSmallFile); }

void WriteWholeFile(const std::string& path, std::string_view text, unsigned mode, bool replace) {
    if (!replace && std::filesystem::exists(path)) throw FileError(path, "exists already");
    const std::string draft = base::Cat(path, ".new.", getpid());
    bool good = false;
    {
        const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        const plugin::Descriptor file(open(draft.c_str(), flags, mode));
        if (file.get() < 0) throw FileError(path, "cannot be written");
        size_t done = 0;
        while (done < text.size()) {
            const ssize_t put = write(file.get(), text.data() + done, text.size() - done);
            if (put < 0 && errno == EINTR) continue;
            if (put <= 0) break;
            done += static_cast<size_t>(put);
        }
        good = done == text.size() && fchmod(file.get(), mode) == 0 && fsync(file.get()) == 0;
    }
    // link() refuses an existing name, so that two of us do not take one another's file for new.
    if (good) {
        good = replace ? rename(draft.c_str(), path.c_str()) == 0
                       : link(draft.c_str(), path.c_str()) == 0;
    }
    if (!good || !replace) unlink(draft.c_str());
    if (!good) throw FileError(path, "could not be written");
}

void PrintSettings(const SettingLines& lines) {
    for (const auto& [key, value] : lines) std::cout << key << " = " << value << '\n';
}

void WriteSettings(const Global& global, const SettingLines& lines) {
    const std::string path = ConfigFileOf(global);
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) throw FileError(path, "cannot be read");
    const std::string text = ReadWhole(path, static_cast<off_t>(runtime::kMaxPropertiesBytes));
    // Through a link the file itself is replaced, not the link.
    const std::string real = std::filesystem::canonical(path);
    WriteWholeFile(real, runtime::SetProperties(text, lines), status.st_mode & 07777u, true);
    if (chown(real.c_str(), status.st_uid, status.st_gid) != 0 && geteuid() == 0)
        throw FileError(real, "its owner could not be kept");
    std::cout << "written to " << path << '\n';
}

bool AllPassed(const std::vector<plugin::GateStep>& steps) {
    for (const auto& step : steps) {
        if (!step.ok) return false;
    }
    return !steps.empty();
}

void PrintSteps(const std::vector<plugin::GateStep>& steps, bool json) {
    json::Writer out;
    out.BeginArray();
    for (const auto& step : steps) {
        out.BeginObject().Field("step", step.id).Field("ok", step.ok);
        if (!step.ok) out.Field("expected", step.expected);
        out.Field("found", step.found).EndObject();
        if (json) continue;
        std::cout << (step.ok ? "ok    " : "FAIL  ") << step.id << ": ";
        if (!step.ok) std::cout << "expected " << step.expected << ", found ";
        std::cout << step.found << '\n';
    }
    if (json) std::cout << out.EndArray().Take() << '\n';
}

}  // namespace opensend::cli
