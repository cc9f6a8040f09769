#include <stdexcept>

#include <opensend/plugin.hpp>

// Throws from every function it may throw from.
class Throws final : public osp::Transport {
public:
    using Transport::Transport;
    osp_transport_caps Caps() const override { return {}; }
    void Deliver(const osp_msg& message, osp::Completion&& done) override {
        if (message.attempt == 1) throw osp::Error(OSP_E_UNAVAILABLE, "the line is down", 1500);
        if (message.attempt == 2) throw std::runtime_error("unexpected");
        if (message.attempt == 3) throw 3;
        if (message.attempt == 4) return;
        const osp::Completion dropped = std::move(done);
    }
};

OSP_TRANSPORT_PLUGIN(Throws, "test.throws", "1", "throws", "{}")
