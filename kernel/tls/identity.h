#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "kernel/base/clock.h"
#include "kernel/base/guarded.h"
#include "kernel/base/result.h"
#include "kernel/tls/session.h"

namespace opensend::tls {

/// The certificate chain and private key by which a listener proves itself: TLS 1.2 and newer, no
/// client certificates, no renegotiation, no compression (PROC-15). Thread-safe.
class Identity {
public:
    /// Reads both PEM files. Throws base::Error kInvalidParameter with path and reason: unreadable,
    /// not PEM, the key does not belong to the certificate, the certificate has ended.
    Identity(std::string cert_path, std::string key_path, const base::Clock& clock);
    ~Identity();

    /// The server's side of one new connection. Takes a look at the files when the last one is more
    /// than a second old; what cannot be used leaves the old certificate in place.
    std::unique_ptr<Session> Accept();
    /// Reads the files now. An error leaves the old certificate in place and names the reason.
    base::Result<bool, std::string> Reload();
    /// End of the current certificate's validity.
    base::Time not_after() const;

private:
    struct State;
    void ReloadIfChanged();

    const std::string cert_path_;
    const std::string key_path_;
    const base::Clock& clock_;
    base::Guarded<std::unique_ptr<State>> state_;
};

}  // namespace opensend::tls
