#pragma once

#include <vector>

#include "kernel/base/cidr.h"
#include "kernel/http/message.h"

namespace opensend::http {

/// The address a request is counted under: the socket peer, or what trusted proxies say about it
/// (RATE-25). Forwarding fields of an untrusted peer are ignored.
base::IpAddress ClientAddress(
    const base::IpAddress& peer, const Headers& headers, const std::vector<base::Cidr>& trusted
);

}  // namespace opensend::http
