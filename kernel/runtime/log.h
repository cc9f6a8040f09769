#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "kernel/base/clock.h"
#include "kernel/base/id.h"

namespace opensend::runtime {

enum class LogLevel { kDebug = 1, kInfo, kWarn, kError };

/// One field of a log line. Secrets have no conversion, so they cannot get here.
struct LogField {
    std::string_view name;
    std::string json;  // value as JSON text
};
LogField kv(std::string_view name, std::string_view text);
LogField kv(std::string_view name, const char* text);
LogField kv(std::string_view name, const std::string& text);
LogField kv(std::string_view name, int64_t number);
LogField kv(std::string_view name, uint64_t number);
LogField kv(std::string_view name, int number);
LogField kv(std::string_view name, unsigned number);
LogField kv(std::string_view name, double number);  // null when not finite
LogField kv(std::string_view name, bool value);
template <class Tag>
LogField kv(std::string_view name, const base::Id<Tag>& id) {
    return kv(name, id.ToString());
}

struct LogOptions {
    LogLevel level = LogLevel::kInfo;
    bool json = true;  // false: text for terminals
    std::string role = "all";
    std::string node;
    int fd = 1;                          // where lines go
    const base::Clock* clock = nullptr;  // absent: the machine's
    size_t max_lines = 65536;            // waiting for the writer; beyond it lines are dropped
};
/// Once at start, before threads. Lines go to stdout through a bounded queue that never blocks a
/// caller (OBS-12). Without it lines go to stderr at once.
void StartLog(const LogOptions& options);
/// Flushes what is queued; gives up on a reader that takes nothing for two seconds.
void StopLog();
bool LogEnabled(LogLevel level);
/// Takes effect at once; the level of StartLog replaces it.
void SetLogLevel(LogLevel level);
/// Lines dropped since start because the queue was full.
uint64_t LogLinesDropped();
/// JSON string text with the quotes. What is not UTF-8 becomes U+FFFD; control characters, C1
/// included, are escaped, so a terminal cannot be driven by a value.
std::string QuoteJson(std::string_view text);

/// `event` is a stable dotted name ("email.accepted"), `message` fixed text.
void WriteLog(
    LogLevel level,
    std::string_view event,
    std::string_view message,
    std::initializer_list<LogField> fields
);

/// Fields added to every line of this thread while it lives: request id, tenant.
class LogScope {
public:
    LogScope(std::initializer_list<LogField> fields);
    ~LogScope();
    LogScope(const LogScope&) = delete;
    LogScope& operator=(const LogScope&) = delete;

private:
    size_t previous_size_;
};

}  // namespace opensend::runtime

/// LOG(kInfo, "email.accepted", "email accepted", kv("email", id));
#define OPENSEND_LOG(level, event, message, ...)                                     \
    do {                                                                             \
        if (::opensend::runtime::LogEnabled(::opensend::runtime::LogLevel::level)) { \
            using ::opensend::runtime::kv;                                           \
            ::opensend::runtime::WriteLog(                                           \
                ::opensend::runtime::LogLevel::level, event, message, {__VA_ARGS__}  \
            );                                                                       \
        }                                                                            \
    } while (false)
