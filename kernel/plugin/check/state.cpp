#include "kernel/plugin/check/state.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <malloc.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <cfenv>
#include <clocale>
#include <filesystem>
#include <fstream>

#include "kernel/base/text.h"

extern char** environ;
#if defined(OPENSEND_SANITIZED)
// Of every sanitizer's runtime; not every compiler comes with the header.
extern "C" size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace opensend::plugin_check {
namespace {

size_t CountEntries(const char* folder) {
    size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        static_cast<void>(entry);
        ++n;
    }
    return n;
}

}  // namespace

std::string SignalsNow() {
    std::string out;
    for (int number = 1; number < 32; ++number) {
        struct sigaction action {};
        if (sigaction(number, nullptr, &action) != 0) continue;
        const auto address = reinterpret_cast<uintptr_t>(action.sa_handler);
        if (address != 0) out += base::Cat(number, ":", address, " ");
    }
    return out;
}

std::string LocaleNow() { return std::setlocale(LC_ALL, nullptr); }

std::string UmaskNow() {
    const mode_t now = umask(0);
    umask(now);
    return base::Cat(now);
}

std::string FolderNow() { return std::filesystem::current_path().string(); }

std::string EnvironmentNow() {
    std::string out;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
        out.append(*entry).append("\n");
    // The variables themselves are nobody's business here.
    return base::Cat(std::hash<std::string>()(out));
}

std::string LimitsNow() {
    std::string out;
    for (const auto resource :
         {RLIMIT_NOFILE, RLIMIT_AS, RLIMIT_STACK, RLIMIT_NPROC, RLIMIT_CORE}) {
        rlimit limit{};
        getrlimit(resource, &limit);
        out += base::Cat(limit.rlim_cur, "/", limit.rlim_max, " ");
    }
    return out;
}

std::string ThreadsNow() { return base::Cat(CountEntries("/proc/self/task")); }
std::string FilesNow() { return base::Cat(CountEntries("/proc/self/fd")); }

std::string FloatNow() {
#if defined(__x86_64__)
    // Without the bits that only tell what happened.
    return base::Cat(_mm_getcsr() & 0xffc0u, " ", std::fegetround());
#else
    return base::Cat(std::fegetround());
#endif
}

long ResidentKb() {
    std::ifstream statm("/proc/self/statm");
    long total = 0, resident = 0;
    statm >> total >> resident;
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

size_t HeapBytes() {
#if defined(OPENSEND_SANITIZED)
    // The C library's own heap stands still under a sanitizer.
    return __sanitizer_get_current_allocated_bytes();
#else
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
#endif
}

}  // namespace opensend::plugin_check
