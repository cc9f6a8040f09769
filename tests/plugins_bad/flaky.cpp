// A rate limiter whose store comes and goes: it does what the file "mood" of its configuration
// says.
#include <fstream>
#include <string>

#include <opensend/plugin.hpp>

namespace {

class Flaky final : public osp::RateLimit {
public:
    static constexpr uint32_t kInstanceFlags = OSP_INST_CONCURRENT;

    explicit Flaky(const osp_create_args& args) : RateLimit(args) {
        const std::string config(osp::View(args.config));
        const size_t name = config.find("\"mood\":\"");
        if (name == std::string::npos) return;
        const size_t begin = name + 8;
        file_ = config.substr(begin, config.find('"', begin) - begin);
    }
    osp_status Acquire(
        const osp_rl_req* requests,
        uint32_t request_stride,
        osp_rl_res* results,
        uint32_t result_stride,
        uint32_t n,
        osp_token /*token*/,
        osp_time /*deadline*/
    ) override {
        std::string mood;
        std::ifstream(file_) >> mood;
        if (mood == "throw") throw osp::Error(OSP_E_UNAVAILABLE, "the store is away");
        if (mood == "hang") return OSP_PENDING;
        if (mood == "down") return OSP_E_UNAVAILABLE;
        for (uint32_t i = 0; i < n; ++i) {
            const osp_rl_req& request = osp::At(requests, request_stride, i);
            osp_rl_res& result = const_cast<osp_rl_res&>(osp::At(results, result_stride, i));
            if (mood == "degraded") result.flags = OSP_RL_DEGRADED;
            result.allowed = 1;
            result.remaining = request.burst_us / request.emission_us / request.processes;
        }
        return OSP_OK;
    }
    void Refund(const osp_rl_req*, uint32_t, uint32_t) override {}

private:
    std::string file_;
};

}  // namespace

OSP_RATELIMIT_PLUGIN(Flaky, "test.flaky", "1", "flaky", "{}")
