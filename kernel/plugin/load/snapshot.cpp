#include "kernel/plugin/load/snapshot.h"

#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <cstring>
#include <fstream>
#include <utility>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace opensend::plugin {
namespace {

constexpr int kSignals = 65;

uint64_t FloatMode() {
#if defined(__x86_64__)
    return _mm_getcsr() & ~0x3fu;  // without the flags of past operations
#elif defined(__aarch64__)
    uint64_t mode = 0;
    asm volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
#else
    return 0;
#endif
}

void SetFloatMode([[maybe_unused]] uint64_t mode) {
#if defined(__x86_64__)
    _mm_setcsr(static_cast<unsigned>(mode));
#elif defined(__aarch64__)
    asm volatile("msr fpcr, %0" : : "r"(mode));
#endif
}

/// Value of a line of /proc/self/status: reading the mask elsewhere would change it for a moment.
std::string StatusLine(std::string_view name) {
    std::ifstream file("/proc/self/status");
    std::string line;
    while (std::getline(file, line)) {
        if (line.compare(0, name.size(), name) == 0)
            return std::string(base::Trim(std::string_view(line).substr(name.size())));
    }
    return {};
}

std::string CurrentFolder() {
    std::array<char, 4096> buffer{};
    return getcwd(buffer.data(), buffer.size()) == nullptr ? std::string() : buffer.data();
}

std::vector<std::string> EnvironmentTexts() {
    std::vector<std::string> out;
    for (char** at = environ; at != nullptr && *at != nullptr; ++at) out.emplace_back(*at);
    return out;
}

std::string LocaleNames() {
    const char* names = std::setlocale(LC_ALL, nullptr);
    return names == nullptr ? std::string() : names;
}

bool SameHandler(const struct sigaction& a, const struct sigaction& b) {
    const bool with_info = (a.sa_flags & SA_SIGINFO) != 0;
    // The C library adds a flag of its own to whatever it sets.
    constexpr int kRestorer = 0x04000000;
    if ((a.sa_flags & ~kRestorer) != (b.sa_flags & ~kRestorer)) return false;
    return with_info ? a.sa_sigaction == b.sa_sigaction : a.sa_handler == b.sa_handler;
}

Problem Changed(std::string what, std::string found) {
    return {"snapshot", base::Cat(what, " as before loading"), std::move(found)};
}

}  // namespace

Snapshot::Snapshot()
    : locale_(LocaleNames()),
      umask_(StatusLine("Umask:")),
      threads_(StatusLine("Threads:")),
      folder_(CurrentFolder()),
      environment_(EnvironmentTexts()),
      float_mode_(FloatMode()) {
    for (size_t i = 1; i < handlers_.size(); ++i)
        sigaction(static_cast<int>(i), nullptr, &handlers_[i]);
}

std::optional<Problem> Snapshot::Compare(bool threads) const {
    for (int i = 1; i < kSignals; ++i) {
        struct sigaction now {};
        if (sigaction(i, nullptr, &now) != 0) continue;
        if (!SameHandler(now, handlers_[static_cast<size_t>(i)]))
            return Changed("signal handlers", base::Cat("another one for signal ", i));
    }
    if (LocaleNames() != locale_) return Changed("the locale", "another one");
    if (StatusLine("Umask:") != umask_) return Changed("umask " + umask_, StatusLine("Umask:"));
    if (CurrentFolder() != folder_) return Changed("the working folder", "another one");
    if (EnvironmentTexts() != environment_) return Changed("the environment", "another one");
    if (FloatMode() != float_mode_) return Changed("the floating-point mode", "another one");
    // One that ends meanwhile is nobody's fault.
    const std::string count = StatusLine("Threads:");
    if (threads && base::ParseInt(count).value_or(0) > base::ParseInt(threads_).value_or(0))
        return Changed("threads " + threads_, count);
    return std::nullopt;
}

void Snapshot::Restore() const {
    for (int i = 1; i < kSignals; ++i) {
        struct sigaction now {};
        const auto& before = handlers_[static_cast<size_t>(i)];
        if (sigaction(i, nullptr, &now) == 0 && !SameHandler(now, before))
            sigaction(i, &before, nullptr);
    }
    if (LocaleNames() != locale_) std::setlocale(LC_ALL, locale_.c_str());
    if (StatusLine("Umask:") != umask_) {
        mode_t mask = 0;
        for (const char digit : umask_) mask = mask * 8 + static_cast<mode_t>(digit - '0');
        umask(mask);
    }
    SetFloatMode(float_mode_);
    // Where the way back is gone there is nothing else to do about it.
    [[maybe_unused]] const int back = CurrentFolder() == folder_ ? 0 : chdir(folder_.c_str());
}

}  // namespace opensend::plugin
