#include "kernel/workers/delivery/outcome_journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>

#include "kernel/base/encoding.h"
#include "kernel/base/error.h"
#include "kernel/base/scope_exit.h"
#include "kernel/base/text.h"
#include "kernel/json/value.h"
#include "kernel/json/writer.h"

namespace opensend::delivery {
namespace {

constexpr size_t kMaxRecord = 256 * 1024;

[[noreturn]] void RefuseJournal(const std::string& path) {
    throw base::Unavailable("storage_full", base::Cat(path, ": ", std::strerror(errno)));
}

void PutNumber(std::string& out, uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift & 255);
}

uint32_t GetNumber(std::string_view bytes, size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) {
        value |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
    }
    return value;
}

std::string EntryJson(const JournalEntry& entry) {
    const model::DeliveryOutcome& result = entry.result;
    json::Writer out;
    out.BeginObject().Field("owner", entry.lease.owner).Field("fence", entry.lease.fence);
    out.Field("tenant", entry.tenant.ToString()).Field("email", entry.email.ToString());
    out.Field("ordinal", entry.ordinal).Field("attempt", entry.attempt.ToString());
    out.Field("transport", entry.transport).Field("started_at", entry.started_at.us);
    out.Field("class", static_cast<int>(result.result)).Field("final_host", result.final_host);
    out.Field("smtputf8_unsupported", result.smtputf8_unsupported);
    out.Field("smtp_code", result.smtp_code).Field("enhanced_code", result.enhanced_code);
    out.Field("diagnostic", result.diagnostic).Field("remote_id", result.remote_id);
    out.Field("remote_host", result.remote_host).Field("remote_address", result.remote_address);
    out.Field("tls", result.tls).Field("transcript", result.transcript);
    out.Field("retry_after_ms", static_cast<int64_t>(result.retry_after_ms)).EndObject();
    return out.Take();
}

std::string TextOf(json::Value object, std::string_view name) {
    const json::Value value = object.Find(name);
    return value.IsString() ? std::string(value.AsString()) : std::string();
}

int64_t NumberOf(json::Value object, std::string_view name) {
    const json::Value value = object.Find(name);
    return value.IsInt() ? value.AsInt() : 0;
}

bool FlagOf(json::Value object, std::string_view name) {
    const json::Value value = object.Find(name);
    return value.IsBool() && value.AsBool();
}

std::optional<JournalEntry> ReadEntry(std::string_view text) {
    const auto document = json::Document::Parse(text);
    if (!document.ok()) return std::nullopt;
    const json::Value in = document->root();
    const auto tenant = model::TenantId::Parse(TextOf(in, "tenant"));
    const auto email = model::EmailId::Parse(TextOf(in, "email"));
    const auto attempt = model::AttemptId::Parse(TextOf(in, "attempt"));
    const int64_t result_class = NumberOf(in, "class");
    const bool known = result_class >= static_cast<int>(model::ResultClass::kOk) &&
                       result_class <= static_cast<int>(model::ResultClass::kNotTried);
    if (!tenant || !email || !attempt || !known) return std::nullopt;
    JournalEntry entry;
    entry.lease = {TextOf(in, "owner"), NumberOf(in, "fence")};
    entry.tenant = *tenant;
    entry.email = *email;
    entry.ordinal = NumberOf(in, "ordinal");
    entry.attempt = *attempt;
    entry.transport = TextOf(in, "transport");
    entry.started_at = {NumberOf(in, "started_at")};
    entry.result.result = static_cast<model::ResultClass>(result_class);
    entry.result.final_host = FlagOf(in, "final_host");
    entry.result.smtputf8_unsupported = FlagOf(in, "smtputf8_unsupported");
    entry.result.smtp_code = static_cast<int>(NumberOf(in, "smtp_code"));
    entry.result.enhanced_code = TextOf(in, "enhanced_code");
    entry.result.diagnostic = TextOf(in, "diagnostic");
    entry.result.remote_id = TextOf(in, "remote_id");
    entry.result.remote_host = TextOf(in, "remote_host");
    entry.result.remote_address = TextOf(in, "remote_address");
    entry.result.tls = TextOf(in, "tls");
    entry.result.transcript = TextOf(in, "transcript");
    entry.result.retry_after_ms = static_cast<uint32_t>(NumberOf(in, "retry_after_ms"));
    return entry;
}

}  // namespace

OutcomeJournal::OutcomeJournal(std::string path) : path_(std::move(path)) {
    empty_ = Read().empty();
}

void OutcomeJournal::Append(const JournalEntry& entry) {
    const std::string text = EntryJson(entry);
    std::string record;
    PutNumber(record, static_cast<uint32_t>(text.size()));
    PutNumber(record, base::Crc32(text));
    record += text;
    base::MutexLock lock(mutex_);
    const int fd = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) RefuseJournal(path_);
    const base::ScopeExit close_it([fd] { close(fd); });
    if (write(fd, record.data(), record.size()) != static_cast<ssize_t>(record.size())) {
        RefuseJournal(path_);
    }
    if (fdatasync(fd) != 0) RefuseJournal(path_);
    empty_ = false;
}

std::vector<JournalEntry> OutcomeJournal::Read() const {
    std::vector<JournalEntry> entries;
    std::ifstream in(path_, std::ios::binary);
    if (!in) return entries;
    std::ostringstream all;
    all << in.rdbuf();
    const std::string bytes = all.str();
    for (size_t at = 0; at + 8 <= bytes.size();) {
        const size_t length = GetNumber(bytes, at);
        if (length > kMaxRecord || at + 8 + length > bytes.size()) break;
        const std::string_view text = std::string_view(bytes).substr(at + 8, length);
        if (base::Crc32(text) != GetNumber(bytes, at + 4)) break;
        if (auto entry = ReadEntry(text)) entries.push_back(std::move(*entry));
        at += 8 + length;
    }
    return entries;
}

void OutcomeJournal::Truncate() {
    const int fd = open(path_.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0) RefuseJournal(path_);
    const base::ScopeExit close_it([fd] { close(fd); });
    if (fdatasync(fd) != 0) RefuseJournal(path_);
    empty_ = true;
}

void OutcomeJournal::Replay(const std::function<void(const std::vector<JournalEntry>&)>& store) {
    if (empty()) return;
    base::MutexLock lock(mutex_);
    const std::vector<JournalEntry> entries = Read();
    if (!entries.empty()) store(entries);
    if (!empty()) Truncate();
}

}  // namespace opensend::delivery
