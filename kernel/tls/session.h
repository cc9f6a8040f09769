#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace opensend::tls {

/// One TLS connection without a socket: bytes of the wire go in and come out, whoever owns the
/// socket moves them. One thread at a time.
class Session {
public:
    /// Takes a new SSL object (from Identity); owned.
    explicit Session(void* ssl);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    enum class Result {
        kGoOn = 1,  // as far as the bytes went
        kClosed,    // the peer said goodbye; nothing more comes
        kFailed,    // not TLS, no common version, a broken record: close after sending `wire`
    };
    /// Takes bytes of the wire; all they said is appended to `plain` (at most one record more than
    /// their number), what must be sent in return to `wire`.
    Result Feed(std::string_view bytes, std::string& plain, std::string& wire);
    /// Encrypts; only after the handshake. False: the connection is broken.
    bool Write(std::string_view plain, std::string& wire);
    /// The goodbye.
    void Close(std::string& wire);

    bool established() const;
    /// "TLSv1.3", for logs and attempts.
    std::string version() const;

private:
    void TakeWire(std::string& wire);
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace opensend::tls
