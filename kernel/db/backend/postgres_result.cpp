#include "kernel/db/backend/postgres_result.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

#include <libpq-fe.h>

#include "kernel/base/text.h"

namespace opensend::db {
namespace {

// Type OIDs of the server; they never change.
constexpr unsigned kBool = 16, kBytea = 17, kName = 19, kInt8 = 20, kInt2 = 21, kInt4 = 23;
constexpr unsigned kText = 25, kOid = 26, kFloat4 = 700, kFloat8 = 701, kUnknown = 705;
constexpr unsigned kBpchar = 1042, kVarchar = 1043, kNumeric = 1700;

bool IsReadInBinary(unsigned type) {
    switch (type) {
        case kBool:
        case kBytea:
        case kName:
        case kInt8:
        case kInt2:
        case kInt4:
        case kText:
        case kFloat4:
        case kFloat8:
        case kUnknown:
        case kBpchar:
        case kVarchar: return true;
        default: return false;
    }
}

std::string BigEndian(int64_t value) {
    const auto bits = static_cast<uint64_t>(value);
    std::string bytes(8, '\0');
    for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>((bits >> (56 - 8 * i)) & 0xff);
    return bytes;
}

uint64_t FromBigEndian(std::string_view bytes) {
    uint64_t value = 0;
    for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
    return value;
}

Value FromBinary(unsigned type, std::string_view bytes) {
    switch (type) {
        case kBool: return Value(bytes.front() != '\0');
        case kInt8: return Value(static_cast<int64_t>(FromBigEndian(bytes)));
        case kInt4:
            return Value(int64_t{static_cast<int32_t>(static_cast<uint32_t>(FromBigEndian(bytes)))}
            );
        case kInt2:
            return Value(int64_t{static_cast<int16_t>(static_cast<uint16_t>(FromBigEndian(bytes)))}
            );
        case kFloat8: return Value(std::bit_cast<double>(FromBigEndian(bytes)));
        case kFloat4:
            return Value(double{std::bit_cast<float>(static_cast<uint32_t>(FromBigEndian(bytes)))});
        case kBytea: return Value(Blob{std::string(bytes)});
        default: return Value(bytes);
    }
}

Value NumberFromText(std::string_view text) {
    if (const auto integer = base::ParseInt(text)) return Value(*integer);
    double real = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), real);
    if (parsed.ec == std::errc()) return Value(real);
    return Value(std::nan(""));
}

int HexDigit(char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; }

/// "\x6100ff"
Blob ByteaFromText(std::string_view text) {
    Blob blob;
    blob.bytes.reserve(text.size() / 2);
    for (size_t i = 2; i + 1 < text.size(); i += 2)
        blob.bytes += static_cast<char>(HexDigit(text[i]) * 16 + HexDigit(text[i + 1]));
    return blob;
}

Value FromText(unsigned type, std::string_view text) {
    switch (type) {
        case kBool: return Value(text == "t");
        case kInt8:
        case kInt4:
        case kInt2:
        case kOid:
        case kNumeric:
        case kFloat8:
        case kFloat4: {
            const Value value = NumberFromText(text);
            const auto* integer = std::get_if<int64_t>(&value.storage());
            if (integer == nullptr || (type != kFloat8 && type != kFloat4)) return value;
            return Value(static_cast<double>(*integer));
        }
        case kBytea: return Value(ByteaFromText(text));
        default: return Value(text);
    }
}

Value Field(const PGresult& result, int row, int column) {
    if (PQgetisnull(&result, row, column) != 0) return Value();
    const std::string_view bytes(
        PQgetvalue(&result, row, column), static_cast<size_t>(PQgetlength(&result, row, column))
    );
    const unsigned type = PQftype(&result, column);
    return PQfformat(&result, column) == 1 ? FromBinary(type, bytes) : FromText(type, bytes);
}

bool SaysConnectionLost(std::string_view state) {
    return state.starts_with("08") || state.starts_with("57P0");
}

bool SaysUnavailable(std::string_view state) {
    if (SaysConnectionLost(state) || state.starts_with("53") || state.starts_with("58"))
        return true;
    // Serialisation, deadlock, lock not available, cancelled by the time limit.
    return state == "40001" || state == "40P01" || state == "55P03" || state == "57014";
}

}  // namespace

void ClearResult::operator()(pg_result* result) const { PQclear(result); }

PostgresTypes PostgresTypes::Of(const pg_result& description) {
    PostgresTypes types;
    for (int i = 0; i < PQnparams(&description); ++i)
        types.parameters.push_back(PQparamtype(&description, i));
    types.binary = true;
    for (int i = 0; i < PQnfields(&description); ++i)
        types.binary = types.binary && IsReadInBinary(PQftype(&description, i));
    return types;
}

PostgresParams::PostgresParams(
    const Query& query, const PostgresTypes& types, const Params& params
) {
    OPENSEND_CHECK(
        params.size() == types.parameters.size(), "a statement gets as many values as it names"
    );
    RefuseNul(query, params);
    rooms_.resize(params.size());
    values_.reserve(params.size());
    lengths_.reserve(params.size());
    formats_.reserve(params.size());
    for (size_t i = 0; i < params.size(); ++i) {
        const auto& storage = params[i].storage();
        // Text for a bytea would be read with backslashes as escapes.
        if (types.parameters[i] == kBytea && !params[i].IsNull() &&
            !std::holds_alternative<Blob>(storage))
            throw BrokenStatement(base::Cat(query.name, ": $", i + 1, " wants a blob"));
        Add(types.parameters[i], params[i], rooms_[i]);
        bytes_ += static_cast<size_t>(lengths_.back()) + 8;
    }
}

void PostgresParams::Add(unsigned type, const Value& value, std::string& room) {
    const auto& storage = value.storage();
    if (const auto* integer = std::get_if<int64_t>(&storage)) {
        if (type == kInt8) return AddOwned(room, BigEndian(*integer), true);
        return AddOwned(room, base::Cat(*integer), false);
    }
    if (const auto* real = std::get_if<double>(&storage)) {
        char buffer[64];
        const auto end = std::to_chars(buffer, buffer + sizeof buffer, *real).ptr;
        return AddOwned(room, std::string(buffer, end), false);
    }
    const auto* text = std::get_if<std::string>(&storage);
    const auto* blob = std::get_if<Blob>(&storage);
    const std::string* bytes = text != nullptr ? text : blob != nullptr ? &blob->bytes : nullptr;
    values_.push_back(bytes == nullptr ? nullptr : bytes->c_str());
    lengths_.push_back(bytes == nullptr ? 0 : static_cast<int>(bytes->size()));
    formats_.push_back(blob != nullptr ? 1 : 0);
}

void PostgresParams::AddOwned(std::string& room, std::string text, bool binary) {
    room = std::move(text);
    values_.push_back(room.c_str());
    lengths_.push_back(static_cast<int>(room.size()));
    formats_.push_back(binary ? 1 : 0);
}

Rows ReadRows(const pg_result& result) {
    Rows rows;
    const int count = PQntuples(&result);
    const int columns = PQnfields(&result);
    rows.reserve(static_cast<size_t>(count));
    for (int r = 0; r < count; ++r) {
        std::vector<Value> values;
        values.reserve(static_cast<size_t>(columns));
        for (int c = 0; c < columns; ++c) values.push_back(Field(result, r, c));
        rows.emplace_back(std::move(values));
    }
    return rows;
}

int64_t ChangedRows(const pg_result& result) {
    // libpq takes a result that it does not change without const here.
    auto* mutable_result = const_cast<pg_result*>(&result);
    const std::string_view command = PQcmdStatus(mutable_result);
    if (command.starts_with("SELECT")) return 0;
    return base::ParseInt(PQcmdTuples(mutable_result)).value_or(0);
}

base::Error PostgresError(
    std::string_view name, const pg_result* result, std::string_view connection_message, bool& lost
) {
    const char* state_text =
        result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state_text == nullptr) {
        lost = true;
        return base::Unavailable(
            "database_unavailable", base::Cat(name, ": ", base::Trim(connection_message))
        );
    }
    const std::string_view state = state_text;
    const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    // Messages of class 22 quote the value that they dislike.
    const std::string_view message =
        primary == nullptr || state.starts_with("22") ? "a value does not fit" : primary;
    std::string detail = base::Cat(name, ": ", message, " [", state, "]");
    lost = SaysConnectionLost(state) || state == "26000" || state == "0A000";
    if (state == "23505") return UniqueViolation(std::move(detail));
    if (state == "53100") return base::Unavailable("storage_full", detail);
    if (SaysUnavailable(state)) return base::Unavailable("database_unavailable", detail);
    return BrokenStatement(std::move(detail));
}

}  // namespace opensend::db
