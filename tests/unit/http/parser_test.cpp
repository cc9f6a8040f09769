#include "kernel/http/parser.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "kernel/base/text.h"

namespace opensend::http {
namespace {

constexpr size_t kMaxBody = 1000;

struct Outcome {
    std::vector<int> statuses;  // 200 per complete request, then the failure; 0: waiting for more
    std::vector<std::string> bodies;
    std::vector<std::string> targets;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

/// Parses `input` in pieces of `piece` bytes.
Outcome Parse(std::string_view input, size_t piece, const ParserLimits& limits = {}) {
    RequestParser parser(limits);
    Outcome outcome;
    while (!input.empty()) {
        std::string_view part = input.substr(0, piece);
        input.remove_prefix(part.size());
        while (!part.empty()) {
            auto step = parser.Feed(part);
            if (step == RequestParser::Step::kHead) {
                parser.SetMaxBody(kMaxBody);
                step = parser.Feed(part);
            }
            if (step == RequestParser::Step::kFailed) {
                outcome.statuses.push_back(parser.failure().status);
                return outcome;
            }
            if (step == RequestParser::Step::kComplete) {
                outcome.statuses.push_back(200);
                outcome.bodies.push_back(std::string(parser.request().body.View()));
                outcome.targets.push_back(parser.request().path);
                parser.Reset();
            }
        }
    }
    if (!parser.idle()) outcome.statuses.push_back(0);
    return outcome;
}

struct Row {
    std::string name;
    std::string input;
    std::vector<int> statuses;
};

std::string Get(std::string_view fields) {
    return base::Cat("GET / HTTP/1.1\r\nHost: a\r\n", fields, "\r\n");
}
std::string Post(std::string_view fields, std::string_view body) {
    return base::Cat("POST / HTTP/1.1\r\nHost: a\r\n", fields, "\r\n", body);
}
std::string Chunked(std::string_view body) { return Post("Transfer-Encoding: chunked\r\n", body); }
std::string Line(std::string_view line) { return base::Cat(line, "\r\nHost: a\r\n\r\n"); }
std::string Repeat(std::string_view text, size_t times) {
    std::string out;
    for (size_t i = 0; i < times; ++i) out += text;
    return out;
}
std::string With(std::string_view before, char c, std::string_view after) {
    return base::Cat(before, std::string(1, c), after);
}

// One row, one line.
// clang-format off
std::vector<Row> RequestLineRows() {
    return {
        {"plain", Line("GET / HTTP/1.1"), {200}},
        {"query", Line("GET /a?b=c HTTP/1.1"), {200}},
        {"unknown method is the router's", Line("FROB / HTTP/1.1"), {200}},
        {"CONNECT is the router's", Line("CONNECT a:443 HTTP/1.1"), {200}},
        {"OPTIONS star", Line("OPTIONS * HTTP/1.1"), {200}},
        {"absolute form", Line("GET http://a/x HTTP/1.1"), {200}},
        {"absolute form without path", Line("GET http://a?x HTTP/1.1"), {200}},
        {"absolute form without host", Line("GET http:///x HTTP/1.1"), {400}},
        {"absolute form with user", Line("GET http://u@a/x HTTP/1.1"), {400}},
        {"other scheme", Line("GET ftp://a/x HTTP/1.1"), {400}},
        {"relative", Line("GET x HTTP/1.1"), {400}},
        {"fragment", Line("GET /#x HTTP/1.1"), {400}},
        {"one empty line before", "\r\n" + Line("GET / HTTP/1.1"), {200}},
        {"two empty lines before", "\r\n\r\n" + Line("GET / HTTP/1.1"), {400}},
        {"version 0.9 form", "GET /\r\n\r\n", {400}},
        {"version 9.9", Line("GET / HTTP/9.9"), {400}},
        {"version 1.2", Line("GET / HTTP/1.2"), {400}},
        {"version 2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}},
        {"version 1", Line("GET / HTTP/1"), {400}},
        {"version 1.10", Line("GET / HTTP/1.10"), {400}},
        {"version 01.1", Line("GET / HTTP/01.1"), {400}},
        {"version lower case", Line("GET / http/1.1"), {400}},
        {"other protocol", Line("GET / RTSP/1.0"), {400}},
        {"two blanks after the method", Line("GET  / HTTP/1.1"), {400}},
        {"two blanks before the version", Line("GET /  HTTP/1.1"), {400}},
        {"blank in the target", Line("GET /a b HTTP/1.1"), {400}},
        {"TAB as separator", Line("GET\t/\tHTTP/1.1"), {400}},
        {"TAB in the target", Line("GET /a\tb HTTP/1.1"), {400}},
        {"blank at the end", Line("GET / HTTP/1.1 "), {400}},
        {"blank at the start", Line(" GET / HTTP/1.1"), {400}},
        {"no target", Line("GET HTTP/1.1"), {400}},
        {"method is no token", Line("G(T / HTTP/1.1"), {400}},
        {"method too long", Line(std::string(33, 'A') + " / HTTP/1.1"), {400}},
        {"NUL in the target", Line(With("GET /a", '\0', " HTTP/1.1")), {400}},
        {"DEL in the target", Line(With("GET /a", '\x7f', " HTTP/1.1")), {400}},
        {"garbage", std::string("\x16\x03\x01\x02", 4), {400}},
        {"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", {400}},
        {"bare CR in the request line", "GET / \rHTTP/1.1\r\nHost: a\r\n\r\n", {400}},
    };
}

std::vector<Row> FieldRows() {
    return {
        {"no Host", "GET / HTTP/1.1\r\n\r\n", {400}},
        {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", {400}},
        {"repeated Host", Get("Host: a\r\n"), {400}},
        {"Host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", {400}},
        {"Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", {400}},
        {"Host of IPv6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", {200}},
        {"1.0 without Host", "GET / HTTP/1.0\r\n\r\n", {200}},
        {"1.0 repeated Host", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", {400}},
        {"bare LF", "GET / HTTP/1.1\r\nHost: a\n\r\n", {400}},
        {"all bare LF", "GET / HTTP/1.1\nHost: a\n\n", {400}},
        {"bare CR in a value", Get("X: a\rb\r\n"), {400}},
        {"bare CR as line end", Get("X: a\rY: b\r\n"), {400}},
        {"CR CR LF", Get("X: a\r\r\n"), {400}},
        {"blank before the colon", Get("X : a\r\n"), {400}},
        {"length with blank before the colon", Post("Content-Length : 0\r\n", ""), {400}},
        {"TAB before the colon", Get("X\t: a\r\n"), {400}},
        {"no colon", Get("Xa\r\n"), {400}},
        {"empty name", Get(": a\r\n"), {400}},
        {"name is no token", Get("X(: a\r\n"), {400}},
        {"name with high byte", Get("X\xc3\xa9: a\r\n"), {400}},
        {"folded by blank", Get("X: a\r\n b\r\n"), {400}},
        {"folded by TAB", Get("X: a\r\n\tb\r\n"), {400}},
        {"blank before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", {400}},
        {"NUL in a value", Get(With("X: a", '\0', "b\r\n")), {400}},
        {"NUL in a name", Get(With("X", '\0', ": b\r\n")), {400}},
        {"BEL in a value", Get("X: a\x07\r\n"), {400}},
        {"ESC in a value", Get("X: \x1b[0m\r\n"), {400}},
        {"DEL in a value", Get("X: a\x7f\r\n"), {400}},
        {"vertical tab before chunked", Chunked("").insert(45, "\x0b"), {400}},
        {"TAB in a value", Get("X: a\tb\r\n"), {200}},
        {"high bytes in a value", Get("X: \xc3\xa9\r\n"), {200}},
        {"encoded word stays text", Get("X: =?utf-8?B?YQ0KWC1J?=\r\n"), {200}},
        {"empty value", Get("X:\r\n"), {200}},
        {"upgrade is ignored", Get("Connection: upgrade\r\nUpgrade: h2c\r\n"), {200}},
        {"unread rest of an upgrade", Get("Connection: upgrade\r\nUpgrade: x\r\n") + Get(""), {200, 200}},
    };
}

std::vector<Row> FramingRows() {
    return {
        {"no length, no body", Post("", ""), {200}},
        {"length zero", Post("Content-Length: 0\r\n", ""), {200}},
        {"length", Post("Content-Length: 3\r\n", "abc"), {200}},
        {"short body", Post("Content-Length: 3\r\n", "ab"), {0}},
        {"body is no request", Post("Content-Length: 16\r\n", "GET / HTTP/1.1\r\n") + Get(""), {200, 200}},
        {"body on GET", Get("Content-Length: 3\r\n") + "abc", {200}},
        {"equal repeated lengths", Post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), {400}},
        {"two lengths", Post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), {400}},
        {"length list", Post("Content-Length: 3, 3\r\n", "abc"), {400}},
        {"length +3", Post("Content-Length: +3\r\n", "abc"), {400}},
        {"length -1", Post("Content-Length: -1\r\n", ""), {400}},
        {"length abc", Post("Content-Length: abc\r\n", ""), {400}},
        {"length 0x3", Post("Content-Length: 0x3\r\n", "abc"), {400}},
        {"length 3 3", Post("Content-Length: 3 3\r\n", "abc"), {400}},
        {"length 3.0", Post("Content-Length: 3.0\r\n", "abc"), {400}},
        {"empty length", Post("Content-Length:\r\n", ""), {400}},
        {"length beyond 64 bits", Post("Content-Length: 18446744073709551617\r\n", "a"), {400}},
        {"length at the limit", Post("Content-Length: 1000\r\n", std::string(1000, 'x')), {200}},
        {"length over the limit", Post("Content-Length: 1001\r\n", ""), {413}},
        {"length over the limit, a byte came", Post("Content-Length: 1001\r\n", "x"), {413}},
        {"coding and length", Post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), {400}},
        {"length and coding", Post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), {400}},
        {"other coding", Post("Transfer-Encoding: gzip\r\n", ""), {400}},
        {"xchunked", Post("Transfer-Encoding: xchunked\r\n", ""), {400}},
        {"identity", Post("Transfer-Encoding: identity\r\n", ""), {400}},
        {"gzip, chunked", Post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), {400}},
        {"chunked, chunked", Post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), {400}},
        {"chunked twice", Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), {400}},
        {"chunked, identity", Post("Transfer-Encoding: chunked, identity\r\n", ""), {400}},
        {"quoted chunked", Post("Transfer-Encoding: \"chunked\"\r\n", ""), {400}},
        {"empty coding", Post("Transfer-Encoding:\r\n", ""), {400}},
        {"coding in capitals", Post("transfer-encoding: Chunked\r\n", "0\r\n\r\n"), {200}},
        {"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}},
    };
}

std::vector<Row> ChunkRows() {
    return {
        {"chunks", Chunked("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), {200}},
        {"chunks, then a request", Chunked("1\r\na\r\n0\r\n\r\n") + Get(""), {200, 200}},
        {"two trailers, then a request", Chunked("1\r\na\r\n0\r\nX: 1\r\nY: 2\r\n\r\n") + Get(""), {200, 200}},
        {"framing in trailers means nothing", Chunked("0\r\nContent-Length: 5\r\n\r\n") + Get(""), {200, 200}},
        {"trailer without colon", Chunked("0\r\nX\r\n\r\n"), {400}},
        {"folded trailer", Chunked("0\r\nX: 1\r\n 2\r\n\r\n"), {400}},
        {"trailer with bare LF", Chunked("0\r\nX: 1\n\r\n"), {400}},
        {"last line end missing", Chunked("0\r\n"), {0}},
        {"last line end is another thing", Chunked("0\r\nab"), {0}},
        {"size zz", Chunked("zz\r\n"), {400}},
        {"size missing", Chunked("\r\nabc"), {400}},
        {"size with sign", Chunked("+3\r\nabc\r\n"), {400}},
        {"size 0x3", Chunked("0x3\r\nabc\r\n"), {400}},
        {"size with blank", Chunked("3 \r\nabc\r\n"), {400}},
        {"blank before the size", Chunked(" 3\r\nabc\r\n"), {400}},
        {"size overflow", Chunked("10000000000000003\r\nabc\r\n"), {400}},
        {"size with bare LF", Chunked("3\nabc\r\n"), {400}},
        {"size with bare CR", Chunked("3\rabc\r\n"), {400}},
        {"data too long", Chunked("3\r\nabcd\r\n0\r\n\r\n"), {400}},
        {"data ended by XX", Chunked("3\r\nabcXX0\r\n\r\n"), {400}},
        {"data ended by CR X", Chunked("3\r\nabc\rX0\r\n\r\n"), {400}},
        {"data ended by LF", Chunked("3\r\nabc\n0\r\n\r\n"), {400}},
        {"data end missing", Chunked("3\r\nabc0\r\n\r\n"), {400}},
        {"extension", Chunked("3;a=b\r\nabc\r\n0;c\r\n\r\n"), {200}},
        {"extension with bare LF", Chunked("3;a\nabc\r\n0\r\n\r\n"), {400}},
        {"extension with control byte", Chunked("3;\x01\r\nabc\r\n"), {400}},
        {"endless extension", Chunked("3;" + std::string(17000, 'e')), {400}},
        {"endless extensions", Chunked(Repeat("1;" + std::string(99, 'e') + "\r\na\r\n", 200)), {400}},
        {"chunks at the limit", Chunked(Repeat("64\r\n" + std::string(100, 'x') + "\r\n", 10) + "0\r\n\r\n"), {200}},
        {"chunks over the limit", Chunked(Repeat("64\r\n" + std::string(100, 'x') + "\r\n", 10) + "1\r\n"), {413}},
        {"one chunk over the limit", Chunked("3e9\r\n"), {413}},
        {"huge chunk", Chunked("fffffffffffffff\r\n"), {413}},
        {"too many trailers", Chunked("0\r\n" + Repeat("X: 1\r\n", 101)), {431}},
        {"too long trailers", Chunked("0\r\nX: " + std::string(33000, 'x')), {431}},
    };
}

std::vector<Row> LimitRows() {
    const std::string longest(8192 - std::string_view("GET / HTTP/1.1").size(), 'a');
    const std::string head = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    const std::string fill(32768 - head.size() - 4, 'x');
    return {
        {"request line at the limit", Line("GET /" + longest + " HTTP/1.1"), {200}},
        {"request line over the limit", Line("GET /" + longest + "a HTTP/1.1"), {414}},
        {"endless request line", "GET /" + std::string(9000, 'a'), {414}},
        {"long method is a long line", std::string(9000, 'A'), {414}},
        {"head at the limit", head + fill + "\r\n\r\n", {200}},
        {"head over the limit", head + fill + "x\r\n\r\n", {431}},
        {"endless field", head + std::string(40000, 'x'), {431}},
        {"fields at the limit", Get(Repeat("X: 1\r\n", 99)), {200}},
        {"fields over the limit", Get(Repeat("X: 1\r\n", 100)), {431}},
    };
}
// clang-format on

void ExpectRows(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        const Outcome whole = Parse(row.input, row.input.size());
        EXPECT_EQ(whole.statuses, row.statuses) << row.name;
        for (const size_t piece : {1U, 2U, 3U, 7U, 4096U}) {
            EXPECT_EQ(Parse(row.input, piece), whole) << row.name << " in pieces of " << piece;
        }
    }
}

TEST(RequestParser, JudgesRequestLines) { ExpectRows(RequestLineRows()); }
TEST(RequestParser, JudgesFields) { ExpectRows(FieldRows()); }
TEST(RequestParser, JudgesFraming) { ExpectRows(FramingRows()); }
TEST(RequestParser, JudgesChunks) { ExpectRows(ChunkRows()); }
TEST(RequestParser, HoldsLimitsToTheByte) { ExpectRows(LimitRows()); }

TEST(RequestParser, RefusesEveryControlByteInAHead) {
    for (int c = 0; c < 128; ++c) {
        if ((c >= 32 && c != 127) || c == '\t') continue;
        const auto byte = static_cast<char>(c);
        for (const auto& input :
             {Get(With("X: a", byte, "b\r\n")), Get(With("X", byte, "a: b\r\n")),
              Line(With("GET /", byte, " HTTP/1.1"))}) {
            EXPECT_EQ(Parse(input, input.size()).statuses, std::vector<int>{400}) << c;
        }
    }
}

TEST(RequestParser, PipelinedRequestsSplitAnywhere) {
    const std::string input = Post("Content-Length: 3\r\n", "abc") +
                              Chunked("2\r\nde\r\n0\r\nT: 1\r\n\r\n") + Get("X: y\r\n");
    const Outcome whole = Parse(input, input.size());
    EXPECT_EQ(whole.statuses, (std::vector<int>{200, 200, 200}));
    EXPECT_EQ(whole.bodies, (std::vector<std::string>{"abc", "de", ""}));
    for (size_t piece = 1; piece < input.size(); ++piece) {
        EXPECT_EQ(Parse(input, piece), whole) << piece;
    }
}

TEST(RequestParser, KeepsWhatCame) {
    RequestParser parser({});
    std::string_view data =
        "PATCH /a%20b?c=d&e HTTP/1.1\r\nHost: x\r\nX-Y: \t v w \t\r\nx-y: 2\r\n\r\n";
    ASSERT_EQ(parser.Feed(data), RequestParser::Step::kHead);
    const Request& request = parser.request();
    EXPECT_EQ(request.method, "PATCH");
    EXPECT_EQ(request.path, "/a%20b");
    EXPECT_EQ(request.query, "c=d&e");
    EXPECT_EQ(request.headers.Find("x-Y"), "v w");
    EXPECT_EQ(request.headers.Joined("X-Y"), "v w, 2");
    EXPECT_FALSE(parser.has_body());
}

TEST(RequestParser, KnowsWhenAConnectionStays) {
    const std::vector<std::pair<std::string, bool>> rows = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",                         true },
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",    false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\n\r\n",                                    false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",          true },
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",   false},
    };
    for (const auto& [input, stays] : rows) {
        RequestParser parser({});
        std::string_view data = input;
        ASSERT_EQ(parser.Feed(data), RequestParser::Step::kHead);
        EXPECT_EQ(parser.keep_alive(), stays) << input;
    }
}

}  // namespace
}  // namespace opensend::http
