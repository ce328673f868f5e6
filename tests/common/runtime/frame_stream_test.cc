// SPDX-License-Identifier: MIT
//
// Goal: frames survive any cutting of the stream, and nothing but whole, undamaged frames of
// permitted size comes out. Method: frames are written into a memory connection and read back
// through reads of every small size, random sizes, and damaged or shortened bytes.
#include "common/runtime/frame_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/base/hash.h"
#include "common/runtime/task_group.h"
#include "tests/common/runtime/test_scheduler.h"

namespace redoubt {
namespace {

using ::testing::HasSubstr;

// Keeps what is written; reads give it back in pieces of the given sizes (0 stands for "all that
// fits"), the last size for ever, suspending before every other one.
class PipeConnection final : public Connection {
 public:
  explicit PipeConnection(TestScheduler* scheduler) : scheduler_(scheduler) {}

  Task<Result<size_t>> Read(MutableByteView into) override {
    const size_t index = std::min(read_count_++, piece_sizes.size() - 1);
    if (read_count_ % 2 == 0) {
      co_await scheduler_->Yield();
    }
    const size_t limit = piece_sizes[index] == 0 ? into.size() : piece_sizes[index];
    const size_t count = std::min({limit, into.size(), bytes.size() - offset_});
    std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(offset_), count, into.begin());
    offset_ += count;
    co_return count;
  }
  Task<Status> Write(std::span<const ByteView> parts) override {
    for (const ByteView part : parts) {
      bytes.insert(bytes.end(), part.begin(), part.end());
    }
    co_return Status::Ok();
  }
  void Close() override {}
  std::string peer() const override { return "pipe"; }

  Bytes bytes;
  std::vector<size_t> piece_sizes{0};

 private:
  TestScheduler* scheduler_;
  size_t offset_ = 0;
  size_t read_count_ = 0;
};

Frame MakeFrame(uint64_t id, size_t header_bytes, size_t payload_bytes) {
  Frame frame;
  frame.type = static_cast<uint16_t>(id * 7);
  frame.request_id = id << 32 | 5;
  frame.header.resize(header_bytes);
  frame.payload.resize(payload_bytes);
  for (size_t i = 0; i < header_bytes; ++i) {
    frame.header[i] = static_cast<uint8_t>(HashMix(id, i));
  }
  for (size_t i = 0; i < payload_bytes; ++i) {
    frame.payload[i] = static_cast<uint8_t>(HashMix(id, i) >> 8);
  }
  return frame;
}

Task<void> WriteAll(Connection* connection, const std::vector<Frame>* frames) {
  for (const Frame& frame : *frames) {
    FrameView view{frame.type, frame.request_id, ByteView(frame.header), ByteView(frame.payload)};
    const Status status = co_await WriteFrame(connection, view);
    REDOUBT_CHECK(status.ok());
  }
}

struct ReadOutcome {
  std::vector<Frame> frames;
  Status end;
};

Task<void> ReadAll(Connection* connection, FrameLimits limits, ReadOutcome* outcome) {
  FrameReader reader(connection, limits);
  for (;;) {
    Result<Frame> frame = co_await reader.Next();
    if (!frame.ok()) {
      outcome->end = frame.status();
      co_return;
    }
    outcome->frames.push_back(std::move(*frame));
  }
}

class FrameStreamTest : public ::testing::Test {
 protected:
  Bytes Encoded(const std::vector<Frame>& frames) {
    PipeConnection pipe(&scheduler_);
    TaskGroup group(&scheduler_);
    group.Spawn(WriteAll(&pipe, &frames));
    scheduler_.RunAll();
    return pipe.bytes;
  }
  ReadOutcome Read(Bytes bytes, std::vector<size_t> piece_sizes, FrameLimits limits = {}) {
    PipeConnection pipe(&scheduler_);
    pipe.bytes = std::move(bytes);
    pipe.piece_sizes = std::move(piece_sizes);
    TaskGroup group(&scheduler_);
    ReadOutcome outcome;
    group.Spawn(ReadAll(&pipe, limits, &outcome));
    scheduler_.RunAll();
    EXPECT_FALSE(outcome.end.ok());
    return outcome;
  }
  TestScheduler scheduler_;
};

void ExpectSame(const std::vector<Frame>& got, const std::vector<Frame>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].type, want[i].type);
    EXPECT_EQ(got[i].request_id, want[i].request_id);
    EXPECT_EQ(got[i].header, want[i].header);
    EXPECT_EQ(got[i].payload, want[i].payload);
  }
}

// The first frame of a connection, byte by byte: the format is on the wire and must not drift.
TEST_F(FrameStreamTest, EncodesTheDocumentedBytes) {
  Frame frame;
  frame.type = 0x0102;
  frame.request_id = 0x0304050607080910;
  frame.header = {0xAA};
  frame.payload = {0xBB, 0xCC};
  const Bytes bytes = Encoded({frame});
  EXPECT_EQ(ToHex(ByteView(bytes).first(24)),
            "52444231000000010000000201020000"
            "0304050607080910");
  EXPECT_EQ(ToHex(ByteView(bytes).subspan(28)), "aabbcc");
  EXPECT_EQ(bytes.size(), 31U);
}

TEST_F(FrameStreamTest, RoundTripsUnderEveryPieceSize) {
  const std::vector<Frame> frames{MakeFrame(1, 0, 0), MakeFrame(2, 5, 0), MakeFrame(3, 0, 7),
                                  MakeFrame(4, 30, 100)};
  const Bytes bytes = Encoded(frames);
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    const ReadOutcome outcome = Read(bytes, {piece});
    ExpectSame(outcome.frames, frames);
    EXPECT_EQ(outcome.end.code(), StatusCode::kUnavailable);
    EXPECT_THAT(outcome.end.message(), HasSubstr("closed"));
  }
}

// Sizes around the read-ahead buffer of 64 KiB, and larger than it.
TEST_F(FrameStreamTest, RoundTripsLargeFramesUnderRandomCuts) {
  std::vector<Frame> frames;
  const std::vector<size_t> sizes{16384, 65536 - 28, 65536 - 27, 65536,     200'000, 1,     16384,
                                  16384, 16384,      16384,      1'000'000, 0,       70'000};
  frames.reserve(sizes.size() + 1);
  for (size_t i = 0; i < sizes.size(); ++i) {
    frames.push_back(MakeFrame(i, i * 11, sizes[i]));
  }
  frames.push_back(MakeFrame(99, 100'000, 10));
  const Bytes bytes = Encoded(frames);
  for (uint64_t seed = 0; seed < 30; ++seed) {
    std::vector<size_t> pieces;
    pieces.reserve(401);
    uint64_t state = seed;
    for (int i = 0; i < 400; ++i) {
      state = HashMix(state, 1);
      pieces.push_back(1 + state % (state % 5 == 0 ? 100'000 : 3'000));
    }
    pieces.push_back(0);
    const ReadOutcome outcome = Read(bytes, pieces);
    ExpectSame(outcome.frames, frames);
  }
  ExpectSame(Read(bytes, {0}).frames, frames);
}

TEST_F(FrameStreamTest, ACutInsideAFrameIsToldFromAnEnd) {
  const std::vector<Frame> frames{MakeFrame(1, 3, 10)};
  const Bytes bytes = Encoded(frames);
  for (size_t length = 1; length < bytes.size(); ++length) {
    const ReadOutcome outcome =
        Read(Bytes(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(length)), {0});
    EXPECT_TRUE(outcome.frames.empty());
    EXPECT_EQ(outcome.end.code(), StatusCode::kUnavailable);
    EXPECT_THAT(outcome.end.message(), HasSubstr("cut inside"));
  }
  Bytes large = Encoded({MakeFrame(1, 3, 500'000)});
  large.pop_back();
  EXPECT_THAT(Read(large, {0}).end.message(), HasSubstr("cut inside"));
}

TEST_F(FrameStreamTest, EveryDamagedByteIsNoticed) {
  const Bytes bytes = Encoded({MakeFrame(1, 3, 10)});
  for (size_t i = 0; i < bytes.size(); ++i) {
    // Lengths may also grow beyond what follows or beyond the limit; no damage gives a frame.
    for (const uint8_t flip : {uint8_t{0x01}, uint8_t{0x80}}) {
      Bytes damaged = bytes;
      damaged[i] = static_cast<uint8_t>(damaged[i] ^ flip);
      const ReadOutcome outcome = Read(damaged, {0});
      EXPECT_TRUE(outcome.frames.empty()) << "byte " << i;
    }
  }
}

TEST_F(FrameStreamTest, ChecksumMismatchIsCorruptionNamingThePeer) {
  for (const size_t payload_bytes : {10UL, 500'000UL}) {
    Bytes damaged = Encoded({MakeFrame(1, 3, payload_bytes)});
    damaged.back() ^= 1;
    const Status end = Read(damaged, {0}).end;
    EXPECT_EQ(end.code(), StatusCode::kCorruption);
    EXPECT_THAT(end.message(), HasSubstr("checksum"));
    EXPECT_THAT(end.message(), HasSubstr("pipe"));
  }
}

TEST_F(FrameStreamTest, GarbageIsCorruption) {
  const std::string_view text = "GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n";
  const ByteView garbage = AsBytes(text);
  const Status end = Read(Bytes(garbage.begin(), garbage.end()), {0}).end;
  EXPECT_EQ(end.code(), StatusCode::kCorruption);
  EXPECT_THAT(end.message(), HasSubstr("protocol"));
}

TEST_F(FrameStreamTest, LengthsAreLimitedBeforeAnythingIsAllocated) {
  const FrameLimits limits{.header_bytes_max = 10, .payload_bytes_max = 20};
  ExpectSame(Read(Encoded({MakeFrame(1, 10, 20)}), {0}, limits).frames, {MakeFrame(1, 10, 20)});
  const Status header = Read(Encoded({MakeFrame(1, 11, 20)}), {0}, limits).end;
  EXPECT_EQ(header.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(header.message(), HasSubstr("header of 11 bytes"));
  const Status payload = Read(Encoded({MakeFrame(1, 10, 21)}), {0}, limits).end;
  EXPECT_EQ(payload.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(payload.message(), HasSubstr("payload of 21 bytes"));
}

}  // namespace
}  // namespace redoubt
