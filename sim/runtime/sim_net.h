// SPDX-License-Identifier: MIT
//
// The simulated network: reliable byte streams between nodes, as TCP gives them. Bytes of one
// direction stay in order whatever the latency; everything else may be late, cut or silent.
//
//   process killed       peers get what was sent, then the end
//   machine without power  silence: what was on the wire arrives in part, later sends vanish until
//   the
//                        sender's retransmission gives up, or meets the restarted machine and is
//                        reset
//   link blocked         bytes wait; past the retransmission limit the sender loses the connection
//   connection broken    both ends lose it, or only one (the other is half-open)
//   link slow            every segment on it is late
//   link full            what all streams of one direction send shares its capacity, one after the
//                        other
//   bit flip             one bit of a segment is the other way round, past TCP's checksum
//   connects fail        refused at once, or hanging until the caller gives up
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/bytes.h"
#include "common/runtime/scheduler.h"
#include "common/runtime/wait_list.h"
#include "sim/runtime/seeded_stream.h"
#include "sim/runtime/trace.h"

namespace redoubt::sim {

class SimWorld;

struct NetOptions {
  int64_t latency_ns_min = 20'000;
  int64_t latency_ns_mean = 80'000;
  // Latency has two humps: one segment in so many millionths is late by tail_ns_mean besides.
  uint32_t tail_ppm = 0;
  int64_t tail_ns_mean = 20'000'000;
  // The same for a while (SetSlow).
  uint32_t slow_ppm = 0;
  int64_t slow_ns_mean = 20'000'000;
  // Of each link, in each direction.
  uint64_t bytes_per_s = 1'000'000'000;
  size_t segment_bytes_max = 64 << 10;
  // Sent and not yet read by the peer: a writer waits beyond it.
  size_t window_bytes = 1 << 20;
  // How long a sender retransmits into silence.
  int64_t give_up_ns = 15'000'000'000;
  int64_t retransmit_ns = 200'000'000;
  size_t backlog_max = 128;
  uint32_t bit_flip_ppm = 0;
};

// Which directions a partition cuts.
enum class Cut : uint8_t { kBothWays, kInto, kOutOf };

enum class ConnectFault : uint8_t { kNone, kRefused, kHangs };

// One established connection; side 0 connected, side 1 accepted.
struct SimStream {
  struct Segment {
    Bytes bytes;
    bool end = false;  // FIN
  };
  struct Side {
    NodeId node = kWorldNode;
    uint32_t incarnation = 0;
    std::string peer;
    std::unique_ptr<WaitList> readable;  // null until the node holds its end
    std::unique_ptr<WaitList> writable;
    bool closed_here = false;
    bool lost = false;      // reset or given up
    bool end_seen = false;  // the peer closed
    std::deque<Bytes> inbox;
    size_t inbox_offset = 0;  // read from its first element
    // The direction away from this side:
    std::deque<Segment> on_wire;
    int64_t last_arrival_ns = 0;
    size_t outstanding_bytes = 0;  // sent, not read by the peer
    int64_t silent_since_ns = -1;  // -1: not retransmitting
  };
  uint64_t id = 0;
  std::array<Side, 2> sides;
};

struct SimListenQueue {
  NodeId node = kWorldNode;
  uint32_t incarnation = 0;
  uint16_t port = 0;
  bool closed = false;
  std::deque<std::shared_ptr<SimStream>> backlog;
  std::unique_ptr<WaitList> arrivals;
};

class SimNet {
 public:
  SimNet(SimWorld* world, const NetOptions& options);
  SimNet(const SimNet&) = delete;
  SimNet& operator=(const SimNet&) = delete;

  // --- Faults.
  // Nests: a link that was blocked twice is open after two releases.
  void SetLinkBlocked(NodeId from, NodeId to, bool blocked);
  // All links of the node.
  void Isolate(NodeId node, bool isolated, Cut cut = Cut::kBothWays) {
    Split({node}, isolated, cut);
  }
  // Every link between a node of `side` and one that is not in it; kInto: only those towards it.
  void Split(const std::set<NodeId>& side, bool parted, Cut cut = Cut::kBothWays);
  // Every segment on the link is late by about so much more; 0: as usual.
  void SetLinkSlow(NodeId from, NodeId to, int64_t extra_ns_mean);
  // One segment in so many millionths loses its integrity on its way.
  void SetBitFlips(uint32_t ppm) { options_.bit_flip_ppm = ppm; }
  uint64_t bit_flip_count() const { return bit_flip_count_; }
  // What happens to those who connect to `to` from now on.
  void SetConnectFault(NodeId to, ConnectFault fault);
  ConnectFault ConnectFaultOf(NodeId to) const;
  // Ends all of the above.
  void HealAll();
  // Sees what reaches a node, before the node does.
  void SetArrivalObserver(std::function<void(NodeId to, ByteView segment)> observer) {
    arrival_observer_ = std::move(observer);
  }
  // Breaks one live connection drawn by the seed; with one_sided the other end learns nothing.
  // Returns whether there was one.
  bool BreakOne(bool one_sided, SeededStream* stream);
  void SetSlow(uint32_t slow_ppm, int64_t slow_ns_mean);
  void NodeDied(NodeId node, bool power);
  size_t open_count() const;
  // Ends of streams that `node` has not closed, and its listeners.
  size_t OpenCountOf(NodeId node) const;
  size_t ListenerCountOf(NodeId node) const;

  // --- For SimNetwork.
  bool IsBlocked(NodeId from, NodeId to) const { return blocked_.contains({from, to}); }
  int64_t DrawLatency(NodeId from, NodeId to);
  std::shared_ptr<SimListenQueue> AddListener(NodeId node, uint32_t incarnation, uint16_t port,
                                              Scheduler* scheduler);  // null: port in use
  void RemoveListener(SimListenQueue* queue);
  // Null: nobody listens there.
  SimListenQueue* FindListener(NodeId node, uint16_t port);
  std::shared_ptr<SimStream> AddStream(NodeId from, uint32_t from_incarnation, SimListenQueue* to);
  // One segment leaves side `side`. `bytes` at most segment_bytes_max.
  void Send(const std::shared_ptr<SimStream>& stream, int side, Bytes bytes, bool end);
  // The application at `side` has read `count` bytes.
  void Consumed(const std::shared_ptr<SimStream>& stream, int side, size_t count);
  void Close(const std::shared_ptr<SimStream>& stream, int side);
  void MarkLost(const std::shared_ptr<SimStream>& stream, int side, std::string_view why);
  const NetOptions& options() const { return options_; }
  SimWorld* world() { return world_; }

 private:
  void ScheduleArrival(const std::shared_ptr<SimStream>& stream, int side, size_t bytes);
  void Arrive(const std::shared_ptr<SimStream>& stream, int side);
  void Retransmit(const std::shared_ptr<SimStream>& stream, int side);
  bool Deliverable(const SimStream& stream, int side) const;
  void Reset(const std::shared_ptr<SimStream>& stream, int side, std::string_view why);
  void Forget(const SimStream& stream);
  using Link = std::pair<NodeId, NodeId>;
  // The stream `name` of that link.
  SeededStream& LinkStream(std::string_view name, NodeId from, NodeId to);
  void FlipBit(NodeId from, NodeId to, Bytes* bytes);

  SimWorld* world_;
  NetOptions options_;
  std::map<uint64_t, std::shared_ptr<SimStream>> streams_;  // shared with both ends and the wire
  std::map<std::pair<NodeId, uint16_t>, std::shared_ptr<SimListenQueue>> listeners_;
  std::function<void(NodeId, ByteView)> arrival_observer_;
  std::map<Link, uint32_t> blocked_;       // how often
  std::map<Link, int64_t> slow_ns_means_;  // of slow links
  std::map<Link, int64_t> free_ns_;        // when what was sent on it so far has left
  std::map<NodeId, ConnectFault> connect_faults_;
  std::map<std::pair<std::string_view, Link>, SeededStream> link_streams_;
  uint64_t bit_flip_count_ = 0;
  uint64_t next_stream_ = 1;
  uint16_t next_port_ = 40'000;
};

}  // namespace redoubt::sim
