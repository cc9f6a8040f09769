// A transport that accepts everything and gives the id of the message back. It has no configuration
// keys.
#include <string>

#include <opensend/plugin.hpp>

class Echo final : public osp::Transport {
public:
    static constexpr uint32_t kInstanceFlags = OSP_INST_CONCURRENT;
    using Transport::Transport;

    osp_transport_caps Caps() const override {
        osp_transport_caps caps{};
        caps.flags = OSP_TR_BLOCKING | OSP_TR_SMTPUTF8;
        caps.max_batch = 16;
        caps.max_concurrency = 2;
        return caps;
    }
    void Deliver(const osp_msg& message, osp::Completion&& done) override {
        if (message.n_rcpts == 0) throw osp::Error(OSP_E_INVALID, "a message without recipients");
        osp_rcpt_result all{};
        all.outcome = OSP_OUT_ACCEPTED;
        all.remote_id = message.id;
        done.Done(all);
    }
};

OSP_TRANSPORT_PLUGIN(Echo, "example.echo", "1.0.0", "echo", "{\"type\":\"object\"}")
