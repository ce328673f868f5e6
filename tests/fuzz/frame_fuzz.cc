// SPDX-License-Identifier: MIT
//
// Goal: no byte stream makes FrameReader crash, over-read or allocate beyond its limits.
// Method: the input's first byte says how the rest is cut into reads; with its high bit set, the
// rest is first wrapped into a valid frame (a random checksum is never right). Frames are read
// until an error.
#include <algorithm>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/check.h"
#include "common/runtime/frame_stream.h"

namespace {

using redoubt::ByteView;
using redoubt::Frame;
using redoubt::MutableByteView;
using redoubt::Result;
using redoubt::Status;
using redoubt::Task;

class BytesConnection : public redoubt::Connection {
 public:
  BytesConnection(ByteView bytes, size_t step) : bytes_(bytes), step_(step) {}
  Task<Result<size_t>> Read(MutableByteView into) override {
    const size_t count = std::min({into.size(), bytes_.size(), step_});
    std::copy_n(bytes_.begin(), count, into.begin());
    bytes_ = bytes_.subspan(count);
    co_return count;
  }
  Task<Status> Write(std::span<const ByteView> /*parts*/) override { co_return Status::Ok(); }
  void Close() override {}
  std::string peer() const override { return "fuzzer"; }

 private:
  ByteView bytes_;
  size_t step_;
};

// Runs to its end at once: nothing in this test suspends.
struct Immediate {
  struct promise_type {
    Immediate get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

Immediate ReadAll(ByteView bytes, size_t step) {
  const redoubt::FrameLimits limits{.header_bytes_max = 1024, .payload_bytes_max = 4096};
  BytesConnection connection(bytes, step);
  redoubt::FrameReader reader(&connection, limits);
  for (;;) {
    const Result<Frame> frame = co_await reader.Next();
    if (!frame.ok()) {
      co_return;
    }
    REDOUBT_CHECK(frame->header.size() <= limits.header_bytes_max);
    REDOUBT_CHECK(frame->payload.size() <= limits.payload_bytes_max);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const ByteView rest(data + 1, size - 1);
  const size_t step = static_cast<size_t>(data[0] & 0x7F) + 1;
  if ((data[0] & 0x80) == 0) {
    ReadAll(rest, step);
    return 0;
  }
  const size_t header_bytes = std::min<size_t>(rest.size() / 2, 1200);
  const redoubt::FrameView frame{.type = 7,
                                 .request_id = size,
                                 .header = rest.first(header_bytes),
                                 .payload = rest.subspan(header_bytes)};
  std::vector<uint8_t> stream(redoubt::kFrameFixedBytes);
  redoubt::EncodeFrameFixed(frame, stream);
  stream.insert(stream.end(), rest.begin(), rest.end());
  stream.insert(stream.end(), rest.begin(), rest.end());  // then a damaged frame
  ReadAll(stream, step);
  return 0;
}
