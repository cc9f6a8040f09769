#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kernel/http/message.h"

#include "llhttp.h"

namespace opensend::http {

struct ParserLimits {
    size_t max_head_bytes = 32 * 1024;   // request line, fields and line ends together
    size_t max_request_line = 8 * 1024;  // without its line end
    size_t max_fields = 100;
    size_t max_chunk_extra = 16 * 1024;  // chunk extensions of one body together
    SpoolRules spool{};
};

/// Strict reader of one request at a time (PROC-12). Bytes may come in any pieces: the outcome is
/// the same. llhttp checks every line of the head a second time. Costs no buffer between requests.
class RequestParser {
public:
    enum class Step {
        kNeedMore = 1,  // everything given was taken
        kHead,          // the head is complete; call SetMaxBody, then Feed again
        kComplete,      // the request is complete; the rest belongs to the next one
        kFailed,        // see failure(); the connection cannot be used further
    };
    struct Problem {
        int status = 0;
        std::string_view code;
        std::string_view reason;
    };

    explicit RequestParser(const ParserLimits& limits);

    /// Takes bytes from the front of `data`. After kHead call it again even with empty data.
    Step Feed(std::string_view& data);
    /// Refuses (413) what is longer; the declared length is checked at the next Feed.
    void SetMaxBody(size_t bytes) { max_body_ = bytes; }
    /// Ready for the next request.
    void Reset();

    Request& request() { return request_; }
    const Problem& failure() const { return failure_; }
    /// No byte of a request has been seen since Reset.
    bool idle() const { return state_ == State::kLine && head_bytes_ == 0; }
    bool in_head() const { return state_ <= State::kFields; }
    bool keep_alive() const { return keep_alive_; }
    bool expects_continue() const { return expects_continue_; }
    /// After kHead: body bytes follow.
    bool has_body() const { return chunked_ || content_length_ > 0; }

private:
    enum class State {
        kLine = 1,
        kFields,
        kHeadDone,
        kFixed,
        kChunkSize,
        kChunkExtra,
        kChunkSizeLf,
        kChunkData,
        kChunkCr,
        kChunkLf,
        kTrailers,
        kDone,
        kFailed,
    };

    Step Fail(int status, std::string_view code, std::string_view reason);
    Step FailBad(std::string_view reason) { return Fail(400, "bad_request", reason); }
    Step FailSpool() { return Fail(503, "service_unavailable", "the body could not be stored"); }
    /// Takes bytes of lines until the head or the trailers end.
    Step TakeLines(std::string_view& data);
    bool CountLineBytes(size_t count);
    Step OnLine(std::string_view line);
    Step OnRequestLine(std::string_view line);
    Step OnField(std::string_view line);
    Step OnKnownField(std::string_view name, std::string_view value);
    Step OnConnection(std::string_view value);
    Step OnHeadEnd();
    Step StartBody();
    Step TakeFixed(std::string_view& data);
    Step TakeChunked(std::string_view& data);
    Step TakeChunkSize(char c);
    Step EndChunkSize();
    bool SecondOpinion(std::string_view text);

    const ParserLimits limits_;
    State state_ = State::kLine;
    bool saw_cr_ = false;
    bool skipped_empty_line_ = false;
    bool chunked_ = false;
    bool keep_alive_ = true;
    bool expects_continue_ = false;
    bool asked_close_ = false;
    bool asked_keep_alive_ = false;
    uint8_t hosts_ = 0;
    uint8_t lengths_ = 0;
    uint8_t codings_ = 0;
    int size_digits_ = 0;
    size_t head_bytes_ = 0;
    size_t line_bytes_ = 0;
    size_t fields_ = 0;
    size_t chunk_extra_ = 0;
    size_t max_body_ = 0;
    uint64_t content_length_ = 0;
    uint64_t remaining_ = 0;  // of the fixed body or the current chunk
    std::string pending_;     // the start of a line that is not complete
    llhttp_t check_{};
    Request request_;
    Problem failure_;
};

}  // namespace opensend::http
