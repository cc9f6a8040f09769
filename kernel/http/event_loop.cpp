#include "kernel/http/event_loop.h"

#include <utility>

#include <Poco/NObserver.h>
#include <Poco/Net/SocketReactor.h>
#include <Poco/Net/StreamSocketImpl.h>
#include <Poco/Timespan.h>

namespace opensend::http {
namespace {

using ReadObserver = Poco::NObserver<Watcher, Poco::Net::ReadableNotification>;
using WriteObserver = Poco::NObserver<Watcher, Poco::Net::WritableNotification>;
using ErrorObserver = Poco::NObserver<Watcher, Poco::Net::ErrorNotification>;

}  // namespace

AdoptedSocket::AdoptedSocket(int fd) : StreamSocket(new Poco::Net::StreamSocketImpl(fd)) {}

class EventLoop::Impl : public Poco::Net::SocketReactor {
public:
    explicit Impl(std::function<void()> on_turn) : on_turn_(std::move(on_turn)) {}

protected:
    // The inherited bodies tell every watcher of every turn; only the turn itself matters here.
    void onTimeout() override { on_turn_(); }
    void onIdle() override { on_turn_(); }
    void onBusy() override { on_turn_(); }
    void onShutdown() override {}

private:
    std::function<void()> on_turn_;
};

EventLoop::EventLoop(std::function<void()> on_turn)
    : impl_(std::make_unique<Impl>(std::move(on_turn))) {}

EventLoop::~EventLoop() = default;

void EventLoop::Watch(const Poco::Net::Socket& socket, Watcher& watcher, Interest interest) {
    // Errors come first: they are reported even when nothing else is asked for.
    impl_->addEventHandler(socket, ErrorObserver(watcher, &Watcher::PocoError));
    if (interest.read) {
        impl_->addEventHandler(socket, ReadObserver(watcher, &Watcher::PocoReadable));
    }
    if (interest.write) {
        impl_->addEventHandler(socket, WriteObserver(watcher, &Watcher::PocoWritable));
    }
}

void EventLoop::Unwatch(const Poco::Net::Socket& socket, Watcher& watcher, Interest interest) {
    if (interest.read) {
        impl_->removeEventHandler(socket, ReadObserver(watcher, &Watcher::PocoReadable));
    }
    if (interest.write) {
        impl_->removeEventHandler(socket, WriteObserver(watcher, &Watcher::PocoWritable));
    }
    impl_->removeEventHandler(socket, ErrorObserver(watcher, &Watcher::PocoError));
}

void EventLoop::Change(
    const Poco::Net::Socket& socket, Watcher& watcher, Interest from, Interest to
) {
    if (from == to) return;
    // Removing one of several observers leaves the descriptor's event mask as it was: start afresh.
    Unwatch(socket, watcher, from);
    Watch(socket, watcher, to);
}

void EventLoop::SetTurn(std::chrono::milliseconds longest) {
    impl_->setTimeout(Poco::Timespan(longest.count() * Poco::Timespan::MILLISECONDS));
}

void EventLoop::Run() { impl_->run(); }
void EventLoop::Stop() { impl_->stop(); }

}  // namespace opensend::http
