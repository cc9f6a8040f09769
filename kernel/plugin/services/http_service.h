#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <opensend/plugin.h>

#include "kernel/base/cidr.h"
#include "kernel/egress/client.h"
#include "kernel/egress/guard.h"
#include "kernel/plugin/strand.h"
#include "kernel/plugin/vitals.h"

namespace opensend::plugin {

/// opensend.host.http of one instance: the server's client, for the origins of the grant and
/// nothing else. A granted name must not lead to an address the egress guard refuses; an address
/// that stands in the grant itself is the operator's word. Thread-safe.
class HttpService {
public:
    struct Deps {
        egress::Client* client = nullptr;
        const egress::Guard* guard = nullptr;
        egress::ResolveAll resolve;
    };
    HttpService(
        Deps deps,
        std::vector<std::string> origins,
        Strand& strand,
        Vitals& vitals,
        const base::Clock& clock
    );
    ~HttpService();

    /// 0: refused, with the reason in `error`.
    uint64_t Start(const osp_http_call& call, osp_error* error);
    void Cancel(uint64_t id);
    /// Every call that is out is answered as cancelled; nothing new is taken. For the control
    /// thread, before stop().
    void CancelAll();
    /// After it no callback runs or will run.
    void Close();

private:
    struct State;
    const std::shared_ptr<State> state_;
};

}  // namespace opensend::plugin
