"""A gRPC server that gives back what it is sent; prints its port. Runs where grpcio is: in the crew's environment."""

from concurrent import futures

import grpc


def main() -> None:
    """Until it is killed."""
    method = grpc.unary_unary_rpc_method_handler(lambda request, _context: request)
    server = grpc.server(futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Echo", {"Say": method})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
