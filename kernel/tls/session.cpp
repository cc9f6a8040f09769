#include "kernel/tls/session.h"

#include <algorithm>
#include <climits>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "kernel/base/check.h"

namespace opensend::tls {
namespace {

constexpr size_t kRecord = 16 * 1024;

int Clamp(size_t size) { return static_cast<int>(std::min<size_t>(size, INT_MAX)); }

}  // namespace

struct Session::State {
    SSL* ssl = nullptr;
    BIO* in = nullptr;   // owned by ssl
    BIO* out = nullptr;  // owned by ssl
    bool failed = false;
    ~State() { SSL_free(ssl); }
};

Session::Session(void* ssl) : state_(std::make_unique<State>()) {
    state_->ssl = static_cast<SSL*>(ssl);
    state_->in = BIO_new(BIO_s_mem());
    state_->out = BIO_new(BIO_s_mem());
    OPENSEND_CHECK(state_->in != nullptr && state_->out != nullptr, "memory for a TLS session");
    BIO_set_mem_eof_return(state_->in, -1);
    BIO_set_mem_eof_return(state_->out, -1);
    SSL_set_bio(state_->ssl, state_->in, state_->out);
    SSL_set_accept_state(state_->ssl);
}

Session::~Session() = default;

void Session::TakeWire(std::string& wire) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(state_->out, &data);
    if (size > 0) wire.append(data, static_cast<size_t>(size));
    (void)BIO_reset(state_->out);
}

Session::Result Session::Feed(std::string_view bytes, std::string& plain, std::string& wire) {
    State& state = *state_;
    if (state.failed) return Result::kFailed;
    while (!bytes.empty()) {
        const int taken = BIO_write(state.in, bytes.data(), Clamp(bytes.size()));
        OPENSEND_CHECK(taken > 0, "a memory buffer takes bytes");
        bytes.remove_prefix(static_cast<size_t>(taken));
    }
    ERR_clear_error();
    Result result = Result::kGoOn;
    char piece[kRecord];
    for (;;) {
        const int got = SSL_read(state.ssl, piece, static_cast<int>(sizeof piece));
        if (got > 0) {
            plain.append(piece, static_cast<size_t>(got));
            continue;
        }
        const int error = SSL_get_error(state.ssl, got);
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) break;
        if (error == SSL_ERROR_ZERO_RETURN) {
            result = Result::kClosed;
        } else {
            state.failed = true;
            result = Result::kFailed;
        }
        break;
    }
    TakeWire(wire);
    return result;
}

bool Session::Write(std::string_view plain, std::string& wire) {
    if (state_->failed || !established()) return false;
    ERR_clear_error();
    while (!plain.empty()) {
        const int taken = SSL_write(state_->ssl, plain.data(), Clamp(plain.size()));
        if (taken <= 0) {
            state_->failed = true;
            return false;
        }
        plain.remove_prefix(static_cast<size_t>(taken));
    }
    TakeWire(wire);
    return true;
}

void Session::Close(std::string& wire) {
    if (state_->failed || !established()) return;
    ERR_clear_error();
    SSL_shutdown(state_->ssl);
    TakeWire(wire);
}

bool Session::established() const { return SSL_is_init_finished(state_->ssl) == 1; }

std::string Session::version() const { return SSL_get_version(state_->ssl); }

}  // namespace opensend::tls
