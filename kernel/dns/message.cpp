#include "kernel/dns/message.h"

#include <algorithm>
#include <map>
#include <utility>

#include "kernel/base/text.h"

namespace opensend::dns {
namespace {

constexpr uint16_t kWireCname = 5;
constexpr uint16_t kWireSoa = 6;
constexpr uint16_t kClassIn = 1;
constexpr size_t kMaxName = 253;
constexpr int kMaxJumps = 64;

/// A position in a message. After the first read past the end it stays failed and yields zeros.
class Reader {
public:
    Reader(std::string_view message, size_t at) : message_(message), at_(at) {}
    bool failed() const { return failed_; }
    size_t at() const { return at_; }

    std::string_view Bytes(size_t count) {
        if (failed_ || count > message_.size() - at_) {
            failed_ = true;
            return {};
        }
        at_ += count;
        return message_.substr(at_ - count, count);
    }
    uint32_t Number(size_t bytes) {
        uint32_t value = 0;
        for (const char c : Bytes(bytes)) value = value << 8 | static_cast<unsigned char>(c);
        return value;
    }
    /// Lower case, labels joined with dots; "" is the root. Octets that a name cannot show are
    /// written \DDD, so that no two names become one.
    std::string Name();

private:
    std::string_view message_;
    size_t at_;
    bool failed_ = false;
};

void AppendLabel(std::string& name, std::string_view label) {
    if (!name.empty()) name += '.';
    for (const char c : base::AsciiLower(label)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte > ' ' && byte < 0x7f && c != '.' && c != '\\' && c != '"') {
            name += c;
            continue;
        }
        const std::string digits = std::to_string(1000 + byte);
        name += base::Cat('\\', std::string_view(digits).substr(1));
    }
}

std::string Reader::Name() {
    std::string name;
    size_t octets = 0;
    std::optional<size_t> after;  // where reading goes on once the first pointer was taken
    for (int jumps = 0; !failed_;) {
        const uint32_t length = Number(1);
        if (failed_ || length == 0) break;
        if (length >= 0xc0) {
            const size_t target = (length & 0x3fU) << 8 | Number(1);
            if (!after) after = at_;
            failed_ = failed_ || ++jumps > kMaxJumps || target >= message_.size();
            at_ = failed_ ? at_ : target;
            continue;
        }
        octets += length + 1;
        failed_ = failed_ || length > 63 || octets > kMaxName + 1;
        AppendLabel(name, Bytes(length));
    }
    if (after) at_ = *after;
    return failed_ ? std::string() : name;
}

struct WireRecord {
    std::string owner;
    uint16_t type = 0;
    uint16_t record_class = 0;
    uint32_t ttl_s = 0;
    size_t data_at = 0;
    size_t data_size = 0;
};

WireRecord ReadRecord(Reader& reader) {
    WireRecord record;
    record.owner = reader.Name();
    record.type = static_cast<uint16_t>(reader.Number(2));
    record.record_class = static_cast<uint16_t>(reader.Number(2));
    record.ttl_s = reader.Number(4);
    // A TTL with the top bit set counts as zero.
    if (record.ttl_s > 0x7fffffff) record.ttl_s = 0;
    record.data_size = reader.Number(2);
    record.data_at = reader.at();
    reader.Bytes(record.data_size);
    return record;
}

std::optional<Record> ReadData(std::string_view message, const WireRecord& wire, RecordType type) {
    // Names inside may point anywhere before, but data ends where the record ends.
    Reader reader(message.substr(0, wire.data_at + wire.data_size), wire.data_at);
    Record record;
    record.ttl_s = wire.ttl_s;
    switch (type) {
        case RecordType::kA:
        case RecordType::kAaaa: {
            record.address.is_v6 = type == RecordType::kAaaa;
            const size_t size = record.address.is_v6 ? 16 : 4;
            if (wire.data_size != size) return std::nullopt;
            const auto bytes = reader.Bytes(size);
            for (size_t i = 0; i < size; ++i) {
                record.address.bytes[i] = static_cast<uint8_t>(bytes[i]);
            }
            break;
        }
        case RecordType::kTxt:
            while (!reader.failed() && reader.at() < wire.data_at + wire.data_size) {
                record.text += reader.Bytes(reader.Number(1));
            }
            break;
        case RecordType::kMx:
            record.preference = static_cast<int>(reader.Number(2));
            record.text = reader.Name();
            break;
        case RecordType::kCname: record.text = reader.Name(); break;
    }
    if (reader.failed()) return std::nullopt;
    return record;
}

/// The smaller of the SOA's own TTL and its last field.
uint32_t NegativeTtl(std::string_view message, const WireRecord& soa) {
    Reader reader(message.substr(0, soa.data_at + soa.data_size), soa.data_at);
    reader.Name();
    reader.Name();
    reader.Bytes(16);
    const uint32_t minimum = reader.Number(4);
    return reader.failed() ? 0 : std::min(minimum, soa.ttl_s);
}

/// Follows `aliases` from the asked name. False: a circle or more than allowed.
bool FollowAliases(const std::map<std::string, Record>& aliases, int before, Answer& answer) {
    for (auto at = aliases.find(answer.final_name); at != aliases.end();
         at = aliases.find(answer.final_name)) {
        if (before + ++answer.aliases > kMaxAliases) return false;
        answer.ttl_s = std::min(answer.ttl_s, at->second.ttl_s);
        answer.final_name = at->second.text;
    }
    return true;
}

}  // namespace

std::string_view ToText(LookupFailure failure) {
    switch (failure) {
        case LookupFailure::kNotFound: return "not_found";
        case LookupFailure::kNoData: return "no_data";
        case LookupFailure::kServFail: return "server_failure";
        case LookupFailure::kRefused: return "refused";
        case LookupFailure::kTimeout: return "timeout";
        case LookupFailure::kUnreachable: return "unreachable";
        case LookupFailure::kBadName: return "bad_name";
        case LookupFailure::kBadAnswer: return "bad_answer";
        case LookupFailure::kChainTooLong: return "chain_too_long";
        case LookupFailure::kBusy: return "busy";
        case LookupFailure::kCanceled: return "canceled";
    }
    return "server_failure";
}

uint16_t WireType(RecordType type) {
    switch (type) {
        case RecordType::kA: return 1;
        case RecordType::kAaaa: return 28;
        case RecordType::kTxt: return 16;
        case RecordType::kMx: return 15;
        case RecordType::kCname: return kWireCname;
    }
    return 0;
}

std::optional<std::string> NormalName(std::string_view name) {
    if (name.ends_with('.')) name.remove_suffix(1);
    if (name.empty() || name.size() > kMaxName) return std::nullopt;
    for (const auto label : base::Split(name, '.')) {
        if (label.empty() || label.size() > 63) return std::nullopt;
        const bool plain = std::all_of(label.begin(), label.end(), [](char c) {
            return c > ' ' && c < 0x7f && c != '\\' && c != '"';
        });
        if (!plain) return std::nullopt;
    }
    return base::AsciiLower(name);
}

base::Result<Answer, LookupFailure> ReadAnswer(
    std::string_view message, const std::string& name, RecordType type, int aliases
) {
    Reader reader(message, 0);
    reader.Bytes(4);
    const uint32_t questions = reader.Number(2);
    const uint32_t answers = reader.Number(2);
    const uint32_t authorities = reader.Number(2);
    reader.Number(2);
    for (uint32_t i = 0; i < questions && !reader.failed(); ++i) {
        reader.Name();
        reader.Bytes(4);
    }
    std::map<std::string, Record> alias_of;
    std::vector<WireRecord> found;
    for (uint32_t i = 0; i < answers && !reader.failed(); ++i) {
        WireRecord wire = ReadRecord(reader);
        if (reader.failed() || wire.record_class != kClassIn) continue;
        if (wire.type == WireType(type)) {
            found.push_back(std::move(wire));
        } else if (wire.type == kWireCname) {
            auto alias = ReadData(message, wire, RecordType::kCname);
            if (!alias) return base::Failure{LookupFailure::kBadAnswer};
            alias_of.emplace(std::move(wire.owner), std::move(*alias));
        }
    }
    Answer answer;
    answer.final_name = name;
    answer.ttl_s = 0x7fffffff;
    if (!FollowAliases(alias_of, aliases, answer)) {
        return base::Failure{LookupFailure::kChainTooLong};
    }
    for (uint32_t i = 0; i < authorities && !reader.failed(); ++i) {
        const WireRecord wire = ReadRecord(reader);
        if (!reader.failed() && wire.type == kWireSoa) {
            answer.negative_ttl_s = NegativeTtl(message, wire);
        }
    }
    if (reader.failed()) return base::Failure{LookupFailure::kBadAnswer};
    for (const auto& wire : found) {
        if (wire.owner != answer.final_name) continue;
        auto record = ReadData(message, wire, type);
        if (!record) return base::Failure{LookupFailure::kBadAnswer};
        answer.ttl_s = std::min(answer.ttl_s, record->ttl_s);
        answer.records.push_back(std::move(*record));
    }
    return answer;
}

}  // namespace opensend::dns
