// SPDX-License-Identifier: MIT
#include "common/runtime/asio/asio_network.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cerrno>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/runtime/asio/socket_address.h"
#include "common/runtime/sync.h"

namespace redoubt {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using TcpSocket = asio::basic_stream_socket<tcp, EventLoop::IoContext::executor_type>;
using TcpAcceptor = asio::basic_socket_acceptor<tcp, EventLoop::IoContext::executor_type>;

constexpr size_t kGatherPartsMax = 64;
// Operations in a row that may succeed without suspending before others get their turn.
constexpr int kStraightOperationsMax = 32;
constexpr Duration kAcceptRetryDelay = std::chrono::milliseconds(100);

// One direction of a socket: who waits, and room for Asio's operation so that waiting allocates
// nothing.
struct IoSlot {
  std::coroutine_handle<> waiter;
  error_code error;
  size_t transferred = 0;
  int straight_operations = 0;
  bool storage_used = false;
  alignas(std::max_align_t) std::array<std::byte, 256> storage;
};

template <typename T>
struct SlotAllocator {
  using value_type = T;
  explicit SlotAllocator(IoSlot* s) : slot(s) {}
  template <typename U>
  SlotAllocator(const SlotAllocator<U>& other) : slot(other.slot) {}  // NOLINT: allocator rebinding
  T* allocate(size_t count) {
    const size_t bytes = count * sizeof(T);
    if (slot->storage_used || bytes > slot->storage.size()) {
      return static_cast<T*>(::operator new(bytes));
    }
    slot->storage_used = true;
    return reinterpret_cast<T*>(slot->storage.data());
  }
  void deallocate(T* at, size_t /*count*/) {
    if (reinterpret_cast<std::byte*>(at) == slot->storage.data()) {
      slot->storage_used = false;
    } else {
      ::operator delete(at);
    }
  }
  template <typename U>
  bool operator==(const SlotAllocator<U>& other) const {
    return slot == other.slot;
  }
  IoSlot* slot;
};

// A socket or acceptor and its two directions; kept alive by every pending operation.
template <typename Socket>
struct IoState {
  explicit IoState(EventLoop* event_loop) : loop(event_loop), socket(event_loop->io()) {}
  void Close() {
    closed = true;
    error_code ignored;
    ignored = socket.close(ignored);  // aborts pending operations
  }
  EventLoop* loop;
  Socket socket;
  std::string name;  // the peer's address, or the one listened to
  bool closed = false;
  // False after a read that returned less than asked for: the next one would only say "would
  // block".
  bool maybe_readable = true;
  IoSlot read;
  IoSlot write;
};
using SocketState = IoState<TcpSocket>;
using AcceptorState = IoState<TcpAcceptor>;

template <typename State>
struct IoHandler {
  using allocator_type = SlotAllocator<std::byte>;
  allocator_type get_allocator() const noexcept { return allocator_type(slot); }
  void operator()(error_code error, size_t transferred = 0) {
    slot->error = error;
    slot->transferred = transferred;
    const std::coroutine_handle<> waiter = std::exchange(slot->waiter, nullptr);
    if (waiter != nullptr) {
      state->loop->ResumeFromHandler(waiter);
    }
  }
  std::shared_ptr<State> state;
  IoSlot* slot;
};

// Suspends until Asio completes one operation on one direction of `state`.
template <typename State>
class IoAwaiter {
 public:
  IoAwaiter(const std::shared_ptr<State>& state, IoSlot* slot) : state_(state), slot_(slot) {}
  IoAwaiter(const IoAwaiter&) = delete;
  IoAwaiter& operator=(const IoAwaiter&) = delete;
  ~IoAwaiter() {
    if (handle_ != nullptr) {
      if (std::exchange(slot_->waiter, nullptr) == nullptr) {
        state_->loop->Unschedule(handle_);
      }
      state_->Close();
    }
  }
  bool await_ready() const noexcept { return false; }
  error_code await_resume() {
    handle_ = nullptr;
    return slot_->error;
  }

 protected:
  IoHandler<State> Suspend(std::coroutine_handle<> handle) {
    REDOUBT_CHECK(slot_->waiter == nullptr);  // one reader and one writer at a time
    slot_->waiter = handle;
    handle_ = handle;
    return {state_, slot_};
  }
  State* state() { return state_.get(); }

 private:
  std::shared_ptr<State> state_;
  IoSlot* slot_;
  std::coroutine_handle<> handle_;  // while suspended
};

// A closed socket is no exception: Asio then completes the read at once, with an error.
class ReadAwaiter final : public IoAwaiter<SocketState>, private EventLoop::Deferred {
 public:
  ReadAwaiter(const std::shared_ptr<SocketState>& state, MutableByteView into)
      : IoAwaiter(state, &state->read), into_(into) {}
  void await_suspend(std::coroutine_handle<> handle) {
    handler_.emplace(Suspend(handle));
    state()->loop->AtEndOfPass(this);
  }

 private:
  void Begin() override {
    state()->socket.async_read_some(asio::buffer(into_.data(), into_.size()), std::move(*handler_));
  }
  MutableByteView into_;
  std::optional<IoHandler<SocketState>> handler_;
};

class WritableAwaiter final : public IoAwaiter<SocketState> {
 public:
  explicit WritableAwaiter(const std::shared_ptr<SocketState>& state)
      : IoAwaiter(state, &state->write) {}
  void await_suspend(std::coroutine_handle<> handle) {
    state()->socket.async_wait(TcpSocket::wait_write, Suspend(handle));
  }
};

class AcceptableAwaiter final : public IoAwaiter<AcceptorState> {
 public:
  explicit AcceptableAwaiter(const std::shared_ptr<AcceptorState>& state)
      : IoAwaiter(state, &state->read) {}
  void await_suspend(std::coroutine_handle<> handle) {
    state()->socket.async_wait(TcpAcceptor::wait_read, Suspend(handle));
  }
};

bool WouldBlock(int error_number) {
  return error_number == EAGAIN || error_number == EWOULDBLOCK || error_number == EINTR;
}

Status Lost(const SocketState& state, int error_number) {
  return Unavailable("connection with " + state.name +
                     " lost: " + FromErrno(error_number, "network").message());
}

Status ClosedHere(const SocketState& state) {
  return Unavailable("connection with " + state.name + " was closed on this side");
}

// The unsent rest of a list of parts.
class Gather {
 public:
  explicit Gather(std::span<const ByteView> parts) : parts_(parts) { SkipEmpty(); }
  bool done() const { return next_ == parts_.size(); }
  // Fills `vectors` and returns how many are used.
  size_t Fill(std::array<iovec, kGatherPartsMax>* vectors) const {
    size_t count = 0;
    size_t offset = offset_;
    for (size_t i = next_; i < parts_.size() && count < vectors->size(); ++i) {
      if (parts_[i].size() > offset) {
        uint8_t* const base = const_cast<uint8_t*>(parts_[i].data());  // iovec knows no const
        (*vectors)[count++] = {base + offset, parts_[i].size() - offset};
      }
      offset = 0;
    }
    return count;
  }
  void Advance(size_t sent) {
    while (sent > 0) {
      REDOUBT_CHECK(next_ < parts_.size());
      const size_t step = std::min(sent, parts_[next_].size() - offset_);
      sent -= step;
      offset_ += step;
      SkipEmpty();
    }
  }

 private:
  void SkipEmpty() {
    while (next_ < parts_.size() && parts_[next_].size() == offset_) {
      ++next_;
      offset_ = 0;
    }
  }
  std::span<const ByteView> parts_;
  size_t next_ = 0;
  size_t offset_ = 0;
};

class AsioConnection final : public Connection {
 public:
  explicit AsioConnection(std::shared_ptr<SocketState> state) : state_(std::move(state)) {
    const tcp::no_delay no_delay(true);
    const asio::socket_base::keep_alive keep_alive(true);
    error_code ignored;
    ignored = state_->socket.set_option(no_delay, ignored);
    ignored = state_->socket.set_option(keep_alive, ignored);
  }
  AsioConnection(const AsioConnection&) = delete;
  AsioConnection& operator=(const AsioConnection&) = delete;
  ~AsioConnection() override { state_->Close(); }

  Task<Result<size_t>> Read(MutableByteView into) override;
  Task<Status> Write(std::span<const ByteView> parts) override;
  void Close() override { state_->Close(); }
  std::string peer() const override { return state_->name; }

 private:
  std::shared_ptr<SocketState> state_;
};

Task<Result<size_t>> AsioConnection::Read(MutableByteView into) {
  REDOUBT_CHECK(!into.empty());
  const std::shared_ptr<SocketState> state = state_;  // the connection may go while we wait
  if (state->closed) {
    co_return ClosedHere(*state);
  }
  if (state->maybe_readable) {
    const ssize_t got = recv(state->socket.native_handle(), into.data(), into.size(), MSG_DONTWAIT);
    if (got < 0 && !WouldBlock(errno)) {
      co_return Lost(*state, errno);
    }
    if (got >= 0) {
      const size_t count = static_cast<size_t>(got);
      state->maybe_readable = count == 0 || count == into.size();
      if (++state->read.straight_operations >= kStraightOperationsMax) {
        state->read.straight_operations = 0;
        co_await state->loop->Yield();
      }
      co_return count;
    }
  }
  state->read.straight_operations = 0;
  ReadAwaiter awaiter(state, into);
  const error_code error = co_await awaiter;
  if (state->closed) {
    co_return ClosedHere(*state);
  }
  if (error == asio::error::eof) {
    state->maybe_readable = true;
    co_return size_t{0};
  }
  if (error) {
    co_return Lost(*state, error.value());
  }
  const size_t count = state->read.transferred;
  state->maybe_readable = count == into.size();
  co_return count;
}

Task<Status> AsioConnection::Write(std::span<const ByteView> parts) {
  const std::shared_ptr<SocketState> state = state_;
  Gather rest(parts);
  while (!rest.done()) {
    if (state->closed) {
      co_return ClosedHere(*state);
    }
    std::array<iovec, kGatherPartsMax> vectors;
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = rest.Fill(&vectors);
    const ssize_t sent =
        sendmsg(state->socket.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      rest.Advance(static_cast<size_t>(sent));
      if (++state->write.straight_operations >= kStraightOperationsMax) {
        state->write.straight_operations = 0;
        co_await state->loop->Yield();
      }
      continue;
    }
    if (!WouldBlock(errno)) {
      co_return Lost(*state, errno);
    }
    state->write.straight_operations = 0;
    WritableAwaiter awaiter(state);
    const error_code error = co_await awaiter;
    if (error && !state->closed) {
      co_return Lost(*state, error.value());
    }
  }
  co_return Status::Ok();
}

class AsioListener final : public Listener {
 public:
  AsioListener(std::shared_ptr<AcceptorState> state, EventLog* log)
      : state_(std::move(state)), log_(log) {}
  AsioListener(const AsioListener&) = delete;
  AsioListener& operator=(const AsioListener&) = delete;
  ~AsioListener() override { state_->Close(); }

  Task<Result<std::unique_ptr<Connection>>> Accept() override;
  void Close() override { state_->Close(); }
  std::string address() const override { return state_->name; }

 private:
  std::shared_ptr<AcceptorState> state_;
  EventLog* log_;
};

std::string FormatEndpoint(const tcp::endpoint& endpoint) {
  return FormatSocketAddress({endpoint.address().to_string(), endpoint.port()});
}

// Errors of one peer are passed over and shortage of descriptors or memory is waited out: neither
// may end the loop that serves everybody.
Task<Result<std::unique_ptr<Connection>>> AsioListener::Accept() {
  const std::shared_ptr<AcceptorState> state = state_;
  EventLog* const log = log_;
  while (!state->closed) {
    auto accepted = std::make_shared<SocketState>(state->loop);
    tcp::endpoint peer;
    error_code error;
    error = state->socket.accept(accepted->socket, peer, error);
    if (!error) {
      accepted->name = FormatEndpoint(peer);
      std::unique_ptr<Connection> connection =
          std::make_unique<AsioConnection>(std::move(accepted));
      co_return std::move(connection);
    }
    if (WouldBlock(error.value())) {
      AcceptableAwaiter awaiter(state);
      co_await awaiter;
    } else if (error.value() == EMFILE || error.value() == ENFILE || error.value() == ENOBUFS ||
               error.value() == ENOMEM) {
      log->Warning("accept on " + state->name + ": " + error.message() +
                   "; new connections wait (raise the limit of open files?)");
      co_await state->loop->Sleep(kAcceptRetryDelay);
    } else if (!state->closed) {
      log->Warning("accept on " + state->name + ": " + error.message());
      co_await state->loop->Yield();
    }
  }
  co_return Cancelled("listening on " + state->name + " has ended");
}

// The end of an operation that may outlive the coroutine that started it: shared by both.
struct Completion {
  explicit Completion(EventLoop* loop) : done(loop) {}
  Event done;
  error_code error;
  std::vector<tcp::endpoint> endpoints;
};

void LookUp(const std::string& host, uint16_t port, Completion* completion) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int error_number = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error_number != 0) {
    completion->error = error_code(error_number, asio::error::get_addrinfo_category());
    return;
  }
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    tcp::endpoint endpoint;
    if (at->ai_addrlen <= endpoint.capacity()) {
      std::memcpy(endpoint.data(), at->ai_addr, at->ai_addrlen);
      endpoint.resize(at->ai_addrlen);
      endpoint.port(port);
      completion->endpoints.push_back(endpoint);
    }
  }
  freeaddrinfo(found);
}

// The endpoints of a name or a literal address, in the system's order of preference.
Task<Result<std::vector<tcp::endpoint>>> Resolve(EventLoop* loop, BlockingPool* pool,
                                                 SocketAddress address, TimePoint deadline) {
  error_code not_literal;
  const asio::ip::address literal = asio::ip::make_address(address.host, not_literal);
  if (!not_literal) {
    co_return std::vector<tcp::endpoint>{tcp::endpoint(literal, address.port)};
  }
  const auto lookup = std::make_shared<Completion>(loop);
  std::function<void()> work = [loop, lookup, address] {
    LookUp(address.host, address.port, lookup.get());
    loop->Post([lookup] { lookup->done.Set(); });
  };
  pool->Submit(std::move(work));
  const bool in_time = co_await lookup->done.Wait(deadline);
  if (!in_time) {
    co_return DeadlineExceeded("no answer from the resolver for host '" + address.host + "'");
  }
  if (lookup->error || lookup->endpoints.empty()) {
    co_return Unavailable("host '" + address.host +
                          "': " + (lookup->error ? lookup->error.message() : "has no address"));
  }
  co_return lookup->endpoints;
}

Task<Result<std::unique_ptr<Connection>>> ConnectTo(EventLoop* loop, tcp::endpoint endpoint,
                                                    std::string name, TimePoint deadline) {
  const auto state = std::make_shared<SocketState>(loop);
  state->name = name;
  const auto attempt = std::make_shared<Completion>(loop);
  // The handler owns what it touches; destroying this coroutine closes the socket with `state`.
  state->socket.async_connect(endpoint, [loop, attempt](error_code error) {
    attempt->error = error;
    loop->CallFromHandler([&attempt] { attempt->done.Set(); });
  });
  const bool in_time = co_await attempt->done.Wait(deadline);
  if (!in_time) {
    state->Close();
    co_return DeadlineExceeded("connect to " + name + ": no answer in time");
  }
  error_code error = attempt->error;
  const tcp::endpoint own = error ? tcp::endpoint() : state->socket.local_endpoint(error);
  if (!error && own == endpoint) {
    // A free port of the ephemeral range can be connected with itself.
    error = asio::error::connection_refused;
  }
  if (error) {
    state->Close();
    co_return Unavailable("connect to " + name + ": " + error.message());
  }
  std::unique_ptr<Connection> connection = std::make_unique<AsioConnection>(state);
  co_return std::move(connection);
}

Status Bind(AcceptorState* state, const tcp::endpoint& endpoint) {
  error_code error;
  error = state->socket.open(endpoint.protocol(), error);
  if (!error) {
    const asio::socket_base::reuse_address reuse(true);
    error = state->socket.set_option(reuse, error);
  }
  if (!error) {
    error = state->socket.bind(endpoint, error);
  }
  if (!error) {
    error = state->socket.listen(asio::socket_base::max_listen_connections, error);
  }
  if (!error) {
    error = state->socket.non_blocking(true, error);
  }
  return error ? IoError("listen on " + FormatEndpoint(endpoint) + ": " + error.message())
               : Status::Ok();
}

}  // namespace

Task<Result<std::unique_ptr<Connection>>> AsioNetwork::Connect(std::string address,
                                                               TimePoint deadline) {
  const Result<SocketAddress> parsed = ParseSocketAddress(address);
  if (!parsed.ok()) {
    co_return parsed.status();
  }
  Task<Result<std::vector<tcp::endpoint>>> resolving = Resolve(loop_, pool_, *parsed, deadline);
  const Result<std::vector<tcp::endpoint>> endpoints = co_await resolving;
  if (!endpoints.ok()) {
    co_return endpoints.status();
  }
  Status last_error = Unavailable("connect to " + address + ": no address");
  for (const tcp::endpoint& endpoint : *endpoints) {
    Task<Result<std::unique_ptr<Connection>>> attempt =
        ConnectTo(loop_, endpoint, address, deadline);
    Result<std::unique_ptr<Connection>> connection = co_await attempt;
    if (connection.ok() || connection.status().code() == StatusCode::kDeadlineExceeded) {
      co_return std::move(connection);
    }
    last_error = connection.status();
  }
  co_return last_error;
}

Task<Result<std::unique_ptr<Listener>>> AsioNetwork::Listen(std::string address) {
  Result<SocketAddress> parsed = ParseSocketAddress(address);
  if (!parsed.ok()) {
    co_return parsed.status();
  }
  Task<Result<std::vector<tcp::endpoint>>> resolving = Resolve(loop_, pool_, *parsed, kNever);
  const Result<std::vector<tcp::endpoint>> endpoints = co_await resolving;
  if (!endpoints.ok()) {
    co_return endpoints.status().code() == StatusCode::kUnavailable
        ? IoError("listen on " + address + ": " + endpoints.status().message())
        : endpoints.status();
  }
  const auto state = std::make_shared<AcceptorState>(loop_);
  const Status bound = Bind(state.get(), endpoints->front());
  if (!bound.ok()) {
    co_return bound;
  }
  parsed->port = state->socket.local_endpoint().port();
  state->name = FormatSocketAddress(*parsed);
  std::unique_ptr<Listener> listener = std::make_unique<AsioListener>(state, log_);
  co_return std::move(listener);
}

}  // namespace redoubt
