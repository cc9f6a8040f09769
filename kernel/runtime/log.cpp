#include "kernel/runtime/log.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "kernel/base/mutex.h"
#include "kernel/base/text.h"
#include "kernel/base/time.h"
#include "kernel/base/utf8.h"

namespace opensend::runtime {
namespace {

constexpr size_t kMaxLine = 16 * 1024;
constexpr size_t kMaxValue = 8 * 1024;
constexpr size_t kMaxQueuedBytes = 64 * 1024 * 1024;
constexpr size_t kChunk = 64 * 1024;
constexpr int kPollMs = 100;
constexpr int kStalledReaderMs = 2000;
constexpr std::string_view kCutMark = ",\"truncated\":true}\n";

struct OwnedField {
    std::string_view name;
    std::string json;
};
std::vector<OwnedField>& ScopeFields() {
    thread_local std::vector<OwnedField> fields;
    return fields;
}

std::string_view LevelName(LogLevel level) {
    switch (level) {
        case LogLevel::kDebug: return "debug";
        case LogLevel::kInfo: return "info";
        case LogLevel::kWarn: return "warn";
        case LogLevel::kError: return "error";
    }
    return "error";
}

void AppendUnicodeEscape(std::string& out, uint32_t cp) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += kDigits[cp >> shift & 0xF];
}

void AppendEscaped(std::string& out, std::string_view text, size_t& at) {
    const size_t from = at;
    const uint32_t cp = base::NextCodePoint(text, at);
    if (cp == '"' || cp == '\\') {
        out += '\\';
        out += text[from];
    } else if (cp == '\n') {
        out += "\\n";
    } else if (cp < 0x20 || (cp >= 0x7F && cp < 0xA0) || cp == 0x2028 || cp == 0x2029) {
        AppendUnicodeEscape(out, cp);
    } else if (cp == 0xFFFD) {
        out += "\xEF\xBF\xBD";
    } else {
        out += text.substr(from, at - from);
    }
}

/// The path without a writer thread.
void WriteToStderr(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(2, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        bytes.remove_prefix(static_cast<size_t>(n));
    }
}

/// The fields of one line in order, each name once: the later value of a name wins.
std::vector<const OwnedField*> Merge(
    const std::vector<OwnedField>& scope, const std::vector<OwnedField>& own
) {
    std::vector<const OwnedField*> merged;
    const auto add = [&merged](const OwnedField& field) {
        for (auto& known : merged) {
            if (known->name == field.name) {
                known = &field;
                return;
            }
        }
        merged.push_back(&field);
    };
    for (const auto& field : scope) add(field);
    for (const auto& field : own) add(field);
    // Stands before `msg` on every line.
    const auto rank = [](const OwnedField* field) {
        if (field->name == "request_id") return 0;
        if (field->name == "trace_id") return 1;
        return field->name == "org_id" ? 2 : 3;
    };
    std::stable_sort(merged.begin(), merged.end(), [&rank](const auto* a, const auto* b) {
        return rank(a) < rank(b);
    });
    return merged;
}

bool IsContext(std::string_view name) {
    return name == "request_id" || name == "trace_id" || name == "org_id";
}

std::string JsonLine(
    const LogOptions& options,
    base::Time now,
    LogLevel level,
    std::string_view event,
    std::string_view message,
    const std::vector<const OwnedField*>& fields
) {
    std::string line = base::Cat(
        R"({"ts":")", base::FormatIso(now), R"(","level":")", LevelName(level), R"(","event":)",
        QuoteJson(event), R"(,"role":)", QuoteJson(options.role), R"(,"node":)",
        QuoteJson(options.node)
    );
    bool cut = false;
    const auto add = [&](std::string_view name, std::string_view json) {
        if (line.size() + name.size() + json.size() + 8 + kCutMark.size() > kMaxLine) {
            cut = true;
        } else {
            line += base::Cat(",\"", name, "\":", json);
        }
    };
    size_t i = 0;
    for (; i < fields.size() && IsContext(fields[i]->name); ++i) {
        add(fields[i]->name, fields[i]->json);
    }
    add("msg", QuoteJson(message));
    for (; i < fields.size(); ++i) add(fields[i]->name, fields[i]->json);
    line += cut ? kCutMark : "}\n";
    return line;
}

std::string TextLine(
    base::Time now,
    LogLevel level,
    std::string_view event,
    std::string_view message,
    const std::vector<const OwnedField*>& fields
) {
    const std::string quoted = QuoteJson(message);
    std::string line = base::Cat(
        base::FormatIso(now), " ", base::AsciiUpper(LevelName(level)), " ", event, ": ",
        std::string_view(quoted).substr(1, quoted.size() - 2)
    );
    for (const auto* field : fields) {
        if (line.size() + field->name.size() + field->json.size() + 8 > kMaxLine) {
            line += " …";
            break;
        }
        line += base::Cat(" ", field->name, "=", field->json);
    }
    line += '\n';
    return line;
}

/// Queue and writer thread of one StartLog.
class LogSink {
public:
    explicit LogSink(const LogOptions& options)
        : options_(options), writer_([this] {
              pthread_setname_np(pthread_self(), "log");
              Serve();
          }) {}

    const LogOptions& options() const { return options_; }
    base::Time Now() const { return options_.clock ? options_.clock->Now() : system_.Now(); }
    uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

    /// False when the sink has ended.
    bool Push(std::string line) {
        base::MutexLock lock(mutex_);
        if (stopping_) return false;
        if (lines_.size() >= options_.max_lines || bytes_ + line.size() > kMaxQueuedBytes) {
            dropped_.fetch_add(1, std::memory_order_relaxed);
            return true;
        }
        bytes_ += line.size();
        lines_.push_back(std::move(line));
        if (lines_.size() == 1) changed_.NotifyOne();
        return true;
    }

    void Stop() {
        {
            base::MutexLock lock(mutex_);
            stopping_ = true;
            changed_.NotifyAll();
        }
        if (writer_.joinable()) writer_.join();
    }

private:
    void Serve() {
        uint64_t reported = 0;
        for (bool last = false; !last;) {
            std::vector<std::string> batch;
            {
                base::MutexLock lock(mutex_);
                while (lines_.empty() && !stopping_) changed_.Wait(lock);
                batch.swap(lines_);
                bytes_ = 0;
                last = stopping_;
            }
            if (const uint64_t now = dropped(); now != reported) {
                batch.push_back(DroppedLine(now - reported));
                reported = now;
            }
            WriteBatch(batch);
        }
    }

    void WriteBatch(const std::vector<std::string>& batch) {
        std::string chunk;
        size_t lines = 0;
        const auto flush = [&] {
            if (!WriteAll(chunk)) dropped_.fetch_add(lines, std::memory_order_relaxed);
            chunk.clear();
            lines = 0;
        };
        for (const auto& line : batch) {
            chunk += line;
            ++lines;
            if (chunk.size() >= kChunk) flush();
        }
        flush();
    }

    /// Waits for the reader: for ever while the process runs, not for ever when it ends.
    bool WriteAll(std::string_view bytes) {
        int waited_ms = 0;
        if (gave_up_) return bytes.empty();
        while (!bytes.empty()) {
            pollfd ready{options_.fd, POLLOUT, 0};
            if (::poll(&ready, 1, kPollMs) == 0) {
                waited_ms += kPollMs;
                if (waited_ms >= kStalledReaderMs && IsStopping()) {
                    gave_up_ = true;
                    return false;
                }
                continue;
            }
            // After poll a pipe takes this much without blocking.
            const ssize_t n =
                ::write(options_.fd, bytes.data(), std::min<size_t>(bytes.size(), 4096));
            if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
            if (n <= 0) return false;
            bytes.remove_prefix(static_cast<size_t>(n));
            waited_ms = 0;
        }
        return true;
    }

    bool IsStopping() {
        base::MutexLock lock(mutex_);
        return stopping_;
    }

    std::string DroppedLine(uint64_t count) const {
        const std::vector<OwnedField> own = {
            {"count", std::to_string(count)}
        };
        const std::string_view message = "log lines were dropped: the reader is too slow";
        const auto fields = Merge({}, own);
        return options_.json
                   ? JsonLine(options_, Now(), LogLevel::kWarn, "log.dropped", message, fields)
                   : TextLine(Now(), LogLevel::kWarn, "log.dropped", message, fields);
    }

    const LogOptions options_;
    const base::SystemClock system_;
    std::atomic<uint64_t> dropped_{0};
    base::Mutex mutex_;
    base::CondVar changed_;
    std::vector<std::string> lines_ OPENSEND_GUARDED_BY(mutex_);
    size_t bytes_ OPENSEND_GUARDED_BY(mutex_) = 0;
    bool gave_up_ = false;  // used by the writer thread only
    bool stopping_ OPENSEND_GUARDED_BY(mutex_) = false;
    std::thread writer_;  // last: it starts when everything else exists
};

/// A sink outlives StopLog: another thread may be about to push into it.
struct LogState {
    std::atomic<LogSink*> sink{nullptr};
    std::atomic<LogLevel> level{LogLevel::kInfo};
    base::Mutex mutex;
    std::vector<std::unique_ptr<LogSink>> sinks OPENSEND_GUARDED_BY(mutex);
};
LogState& TheLog() {
    static auto* state = new LogState;  // never destroyed: threads may log until the very end
    return *state;
}

}  // namespace

std::string QuoteJson(std::string_view text) {
    const bool cut = text.size() > kMaxValue;
    if (cut) text = base::TruncateUtf8(text, kMaxValue);
    std::string out;
    out.reserve(text.size() + 2);
    out += '"';
    for (size_t at = 0; at < text.size();) {
        const char c = text[at];
        if (c >= 0x20 && c < 0x7F && c != '"' && c != '\\') {
            out += c;
            ++at;
        } else {
            AppendEscaped(out, text, at);
        }
    }
    if (cut) out += "…";
    out += '"';
    return out;
}

LogField kv(std::string_view name, std::string_view text) { return {name, QuoteJson(text)}; }
LogField kv(std::string_view name, const char* text) {
    return kv(name, std::string_view(text == nullptr ? "" : text));
}
LogField kv(std::string_view name, const std::string& text) {
    return kv(name, std::string_view(text));
}
LogField kv(std::string_view name, int64_t number) { return {name, base::Cat(number)}; }
LogField kv(std::string_view name, uint64_t number) { return {name, base::Cat(number)}; }
LogField kv(std::string_view name, int number) { return {name, base::Cat(number)}; }
LogField kv(std::string_view name, unsigned number) { return {name, base::Cat(number)}; }
LogField kv(std::string_view name, double number) {
    if (!std::isfinite(number)) return {name, "null"};
    char buffer[40];
    return {name, std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, number).ptr)};
}
LogField kv(std::string_view name, bool value) { return {name, value ? "true" : "false"}; }

void StartLog(const LogOptions& options) {
    StopLog();
    auto& log = TheLog();
    auto sink = std::make_unique<LogSink>(options);
    log.level = options.level;
    log.sink = sink.get();
    base::MutexLock lock(log.mutex);
    log.sinks.push_back(std::move(sink));
}

void StopLog() {
    if (auto* sink = TheLog().sink.exchange(nullptr)) sink->Stop();
}

bool LogEnabled(LogLevel level) { return level >= TheLog().level.load(std::memory_order_relaxed); }
void SetLogLevel(LogLevel level) { TheLog().level = level; }

uint64_t LogLinesDropped() {
    auto& log = TheLog();
    uint64_t total = 0;
    base::MutexLock lock(log.mutex);
    for (const auto& sink : log.sinks) total += sink->dropped();
    return total;
}

void WriteLog(
    LogLevel level,
    std::string_view event,
    std::string_view message,
    std::initializer_list<LogField> fields
) {
    std::vector<OwnedField> own;
    own.reserve(fields.size());
    for (const auto& field : fields) own.push_back({field.name, field.json});
    const auto merged = Merge(ScopeFields(), own);
    auto* sink = TheLog().sink.load();
    if (sink == nullptr) {
        const base::SystemClock clock;
        WriteToStderr(JsonLine({}, clock.Now(), level, event, message, merged));
        return;
    }
    const auto& options = sink->options();
    std::string line = options.json ? JsonLine(options, sink->Now(), level, event, message, merged)
                                    : TextLine(sink->Now(), level, event, message, merged);
    if (!sink->Push(line)) WriteToStderr(line);
}

LogScope::LogScope(std::initializer_list<LogField> fields) : previous_size_(ScopeFields().size()) {
    for (const auto& field : fields) ScopeFields().push_back({field.name, field.json});
}
LogScope::~LogScope() { ScopeFields().resize(previous_size_); }

}  // namespace opensend::runtime
