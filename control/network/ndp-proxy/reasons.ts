/** What NDP proxies are refused for (see contract/errors.ts). */
export interface NetworkReasons {
  ndp_proxy_not_found: { id: string };
  ndp_proxy_exists: { router: string; ip: string };
  port_unreachable_router: { port: string; router: string };
  router_ndp_proxy_not_enable: { router: string };
  ndp_proxy_port_without_ipv6: { port: string };
  ndp_proxy_invalid_address: {
    ip: string;
    port: string;
    router: string;
    why: 'of_another_port' | 'cannot_reach_router';
  };
  address_scope_conflict: { scope: string | null; external_scope: string | null };
  router_gateway_not_valid: { router: string };
  router_ipv6_gateway_in_use: { router: string };
  router_gateway_in_use_by_ndp_proxy: { router: string };
  router_interface_in_use_by_ndp_proxy: { router: string; subnet: string };
}
