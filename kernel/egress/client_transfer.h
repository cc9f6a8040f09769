#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>

#include <curl/curl.h>

#include "kernel/base/cidr.h"
#include "kernel/egress/client.h"

namespace opensend::egress {

struct EasyDelete {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct MultiDelete {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct ListDelete {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, EasyDelete>;
using Multi = std::unique_ptr<CURLM, MultiDelete>;
using List = std::unique_ptr<curl_slist, ListDelete>;

/// One fetch: what was asked, the libcurl handle, and what came so far. Owned by the client's
/// thread once it runs; it does not move, because libcurl points to it.
struct Transfer {
    FetchRequest request;
    std::function<void(FetchResult)> done;
    std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
    Easy easy;
    List fields;
    List resolve;
    FetchResult result;
    size_t head_bytes = 0;
    int informational = 0;
    bool body_cut = false;
    bool too_large = false;
    bool broken = false;
    bool strayed = false;  // a connection to an address outside `pinned` was prevented
    bool retried = false;

    std::chrono::milliseconds Age() const {
        return std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - start
        );
    }
    bool IsPinned(const base::IpAddress& address) const {
        return std::find(request.pinned.begin(), request.pinned.end(), address) !=
               request.pinned.end();
    }
    void ResetAnswer() {
        result = {};
        head_bytes = 0;
        informational = 0;
        body_cut = too_large = broken = strayed = false;
    }
};

/// Makes the handle from the request; false when the request cannot be made at all.
bool Prepare(Transfer& transfer, const Client::Options& options);
/// What libcurl's end of a transfer means to the caller.
ClientFailure FailureOf(CURLcode code, const Transfer& transfer);

}  // namespace opensend::egress
