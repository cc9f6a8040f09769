#include <opensend/plugin.h>

struct BenchSink {
    virtual ~BenchSink() = default;
    virtual osp_status Take(const osp_batch* batch) = 0;
};

namespace {

struct RealSink final : BenchSink {
    osp_status Take(const osp_batch* batch) override {
        return static_cast<osp_status>(batch->msgs->data.len);
    }
};
osp_status Send(osp_inst*, const osp_batch* batch, osp_error*) noexcept {
    return static_cast<osp_status>(batch->msgs->data.len);
}

}  // namespace

extern "C" {
OSP_EXPORT void* BenchMakeSink();
OSP_EXPORT extern const osp_transport_v1 BenchTable;
void* BenchMakeSink() {
    static RealSink sink;
    return &sink;
}
const osp_transport_v1 BenchTable{
    sizeof(osp_transport_v1), 0, nullptr, nullptr, Send, nullptr, nullptr};
}
