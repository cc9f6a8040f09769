#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernel/access/access_control.h"
#include "kernel/access/rate_gate.h"
#include "kernel/api/router.h"
#include "kernel/base/cidr.h"
#include "kernel/base/guarded.h"
#include "kernel/base/uuid.h"
#include "kernel/http/server.h"

namespace opensend::api {

/// What stands between the HTTP server and the handlers, in the order of REST 1.1: route, method,
/// address limit, credential, scope, key limits, header syntax, content type, JSON; then the
/// handler, and the headers that every answer carries. One of the places that catch errors.
class Filters {
public:
    struct Options {
        std::string listener = "api";
        std::vector<base::Cidr> trusted_proxies;
        bool https = false;  // Strict-Transport-Security
        /// Gets every request of a known caller; must not block. May be empty.
        std::function<void(RequestRecord)> record{};
    };
    Filters(
        const Router& router,
        access::AccessControl& access,
        access::RateGate& rates,
        base::UuidSource& ids,
        base::Random& random,
        const base::Clock& clock,
        Options options
    );

    /// Other trusted proxies from now on. Any thread.
    void SetTrustedProxies(std::vector<base::Cidr> proxies);

    /// For http::Server: refuses early what the head alone decides, and gives the body limit.
    http::HeadVerdict OnHead(const http::Request& head) const;
    void OnRequest(http::Request&& request, http::Reply reply) const;
    http::Response OnFramingError(int status, std::string_view code, std::string_view reason) const;

private:
    void Admit(Call& call, const MountedRoute& route) const;
    void BeginRecord(Call& call, const MountedRoute& route) const;
    void ReadBody(Call& call, const MountedRoute& route) const;
    http::Response Finish(ReplyFacts& facts, http::Response response) const;

    const Router& router_;
    access::AccessControl& access_;
    access::RateGate& rates_;
    base::UuidSource& ids_;
    base::Random& random_;
    const base::Clock& clock_;
    Options options_;
    base::Guarded<std::shared_ptr<const std::vector<base::Cidr>>> trusted_proxies_;
};

/// The headers of PROC-16 on an answer.
void AddSecurityHeaders(http::Headers& headers, bool https);

}  // namespace opensend::api
