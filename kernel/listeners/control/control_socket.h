#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/runtime/worker.h"

namespace opensend::control {

/// Takes commands of the server's own user on this machine: <folder>/control.sock, mode 0600. A
/// client sends one line and reads the answer up to its end. One client at a time.
class ControlSocket {
public:
    /// Gives the answer to a command; nullopt: there is no such command. On the socket's thread.
    using Answer = std::function<std::optional<std::string>(std::string_view command)>;
    /// Another server that listens there keeps the place: then nothing is bound and a line is
    /// logged, as it is when the folder does not take a socket.
    ControlSocket(const std::string& folder, Answer answer);
    ~ControlSocket();
    bool listening() const { return fd_ >= 0; }

private:
    void Serve(runtime::StopToken& stop);
    void Talk(int client);

    const std::string folder_;
    const Answer answer_;
    int fd_ = -1;
    std::unique_ptr<runtime::Worker> worker_;  // last: uses the others
};

/// Sends a command to the server of that folder and gives its answer; nullopt: none runs there.
/// Throws base::Error kUnavailable when it does not answer.
std::optional<std::string> Ask(const std::string& folder, std::string_view command);

}  // namespace opensend::control
