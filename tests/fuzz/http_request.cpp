#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/check.h"
#include "kernel/http/parser.h"
#include "kernel/http/uri.h"

namespace {

using opensend::http::ParserLimits;
using opensend::http::RequestParser;

/// What came out: requests one after another, then how it ended.
std::string Transcript(std::string_view input, uint32_t seed) {
    static constexpr ParserLimits kLimits{
        .max_head_bytes = 512, .max_request_line = 128, .max_fields = 8, .max_chunk_extra = 64};
    RequestParser parser(kLimits);
    std::string out;
    while (!input.empty()) {
        size_t size = input.size();
        if (seed != 0) {
            seed = seed * 1664525U + 1013904223U;
            size = 1 + (seed >> 24) % 16;
        }
        std::string_view part = input.substr(0, size);
        input.remove_prefix(part.size());
        while (!part.empty()) {
            auto step = parser.Feed(part);
            if (step == RequestParser::Step::kHead) {
                parser.SetMaxBody(256);
                step = parser.Feed(part);
            }
            if (step == RequestParser::Step::kFailed) {
                return out + "failed " + std::to_string(parser.failure().status);
            }
            if (step != RequestParser::Step::kComplete) continue;
            auto& request = parser.request();
            OPENSEND_CHECK(request.body.size() <= 256, "the body limit holds");
            OPENSEND_CHECK(request.headers.all().size() <= 8, "the field limit holds");
            opensend::http::SplitPath(request.path);
            opensend::http::ParseQuery(request.query);
            out += request.method + ' ' + request.path + '?' + request.query + '\n';
            for (const auto& [name, value] : request.headers.all())
                out += name + ':' + value + '\n';
            out += std::string(request.body.View()) + '\n';
            parser.Reset();
        }
    }
    return out + (parser.idle() ? "idle" : "waiting");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string input(data, data + size);
    const std::string whole = Transcript(input, 0);
    for (const uint32_t seed : {1U, 77U}) {
        OPENSEND_CHECK(Transcript(input, seed) == whole, "pieces change nothing");
    }
    return 0;
}
