#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <Poco/AutoPtr.h>
#include <Poco/Net/SocketNotification.h>
#include <Poco/Net/StreamSocket.h>

namespace opensend::http {

/// A Poco socket around a descriptor that is open already (accepted, eventfd); owns it.
class AdoptedSocket : public Poco::Net::StreamSocket {
public:
    explicit AdoptedSocket(int fd);
    int fd() const { return impl()->sockfd(); }
};

/// Who is told about a socket. Calls come on the loop's thread; a watcher must not be destroyed
/// within its own call.
class Watcher {
public:
    virtual ~Watcher() = default;
    virtual void OnReadable() = 0;
    virtual void OnWritable() = 0;
    /// The socket is dead.
    virtual void OnError() = 0;

    void PocoReadable(const Poco::AutoPtr<Poco::Net::ReadableNotification>&) { OnReadable(); }
    void PocoWritable(const Poco::AutoPtr<Poco::Net::WritableNotification>&) { OnWritable(); }
    void PocoError(const Poco::AutoPtr<Poco::Net::ErrorNotification>&) { OnError(); }
};

/// What a watcher wants to hear beside errors.
struct Interest {
    bool read = false;
    bool write = false;
    friend bool operator==(const Interest&, const Interest&) = default;
};

/// One Poco SocketReactor, level-triggered. All but Stop belong to the thread that runs it.
class EventLoop {
public:
    /// `on_turn` runs once per turn, before the events of that turn.
    explicit EventLoop(std::function<void()> on_turn);
    ~EventLoop();

    void Watch(const Poco::Net::Socket& socket, Watcher& watcher, Interest interest);
    void Change(const Poco::Net::Socket& socket, Watcher& watcher, Interest from, Interest to);
    void Unwatch(const Poco::Net::Socket& socket, Watcher& watcher, Interest interest);

    /// How long a turn without events lasts.
    void SetTurn(std::chrono::milliseconds longest);
    void Run();
    /// Any thread; takes effect at the next turn.
    void Stop();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace opensend::http
