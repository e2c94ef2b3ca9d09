"""Of mcp_stdio: an MCP server with one tool."""

from mcp.server.fastmcp import FastMCP

server = FastMCP("shelves")


@server.tool()
def look_up(shelf: str) -> str:
    """What stands on a shelf."""
    return f"{shelf} has atlases"


if __name__ == "__main__":
    server.run()
