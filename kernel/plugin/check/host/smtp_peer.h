#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kernel/runtime/worker.h"

namespace opensend::plugin_check {

/// Where the peer leaves the script, and how.
enum class Fault {
    kNone = 1,
    kResetOnConnect,   // closes before the greeting
    kHalfReply,        // sends half a reply to MAIL and closes
    kResetAfterData,   // closes after 354, before the message is complete
    kResetAfterDot,    // takes the whole message and closes without a reply
    kSilentAfterDot,   // takes the whole message and says nothing
    kSilentOnConnect,  // never greets
    kSlow,             // waits 20 ms before each reply
    kOneByteAtATime,   // replies in single bytes
    kLongReply,        // an endless multi-line reply to EHLO
    kGarbageReply,     // answers MAIL with something that is no reply
};

struct PeerMessage {
    std::string mail_from;
    std::vector<std::string> rcpts;
    std::string data;  // dots already removed
};

/// Speaks SMTP on a free port of the loopback until it is destroyed, a few connections at once.
class SmtpPeer {
public:
    /// Replies that differ from the usual ones.
    struct Script {
        Fault fault = Fault::kNone;
        std::string greeting = "220 peer.test ESMTP", mail = "250 2.1.0 ok", rcpt = "250 2.1.5 ok",
                    data = "354 go on", dot = "250 2.0.0 queued as PEER1";
    };
    SmtpPeer();
    ~SmtpPeer();
    SmtpPeer(const SmtpPeer&) = delete;
    SmtpPeer& operator=(const SmtpPeer&) = delete;

    uint16_t port() const { return port_; }
    std::vector<PeerMessage> messages() const;
    /// Every command line as it came.
    std::vector<std::string> commands() const;
    void Use(Script script);
    void Forget();

private:
    struct Wire {
        int fd;
        std::string buffer;
    };
    void Serve();
    Script CurrentScript() const;
    void Idle() const;
    bool Send(Wire& wire, const Script& script, const std::string& text) const;
    bool ReadLine(Wire& wire, std::string& line);
    bool Greet(Wire& wire, const Script& script) const;
    bool Endless(Wire& wire, const Script& script) const;
    bool TakeData(Wire& wire, const Script& script, PeerMessage message);
    void Keep(PeerMessage message);
    void Talk(Wire& wire, const Script& script);
    bool Authenticate(Wire& wire, const Script& script, const std::string& line);
    bool Answer(Wire& wire, const Script& script, const std::string& line, PeerMessage& message);

    mutable std::mutex mutex_;
    Script script_;
    std::vector<PeerMessage> messages_;
    std::vector<std::string> commands_;
    int listener_ = -1;
    uint16_t port_ = 0;
    std::atomic<bool> stop_{false};
    std::vector<std::unique_ptr<runtime::Worker>> threads_;
};

}  // namespace opensend::plugin_check
